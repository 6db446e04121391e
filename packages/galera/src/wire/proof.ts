import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';

// How donor and joiner prove that they have the secret of this session and the key of this cluster, in this very connection.
// RFC 5869 (HKDF), RFC 2104 (HMAC), RFC 8446, 7.5 (the exporter that `binding` comes from), RFC 9266 (why it is bound).

/** Bytes of a session secret. */
const secretBytes = 32;
/** Bytes of a proof. */
export const proofBytes = 32;
/** Bytes that tell the processes apart that have the same certificate. */
export const instanceBytes = 16;
/** Part of every proof: another scheme, or another program with the same key, proves nothing here. */
const scheme = 'baton galera 1';

export type Role = 'donor' | 'joiner';

/** What both sides know before they connect. */
export type Shared = {
  /** The session secret as the ready line carries it: 64 hexadecimal digits. */
  readonly secret: string;
  /** What every node of the cluster has; undefined: none, and the secret alone counts. */
  readonly key: Uint8Array | undefined;
};

/** A new session secret, as text for the ready line. */
export function makeSecret(): string {
  return randomBytes(secretBytes).toString('hex');
}

/** A new name of a process, as text: no secret. */
export function makeInstance(): string {
  return randomBytes(instanceBytes).toString('hex');
}

/**
 * The proof of one side: HMAC-SHA-256(HKDF-SHA-256(key, salt = session secret, info = scheme), role ‖ binding).
 * `binding` is 32 bytes that only the two ends of the connection can derive. Throws PROTOCOL when the secret is none.
 */
export function makeProof(role: Role, { secret, key }: Shared, binding: Uint8Array): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(secret)) {
    throw new BatonError(
      'PROTOCOL',
      `the session secret has ${secret.length} characters, but it is 64 hexadecimal digits`,
    );
  }
  const derived = hkdfSync('sha256', key ?? new Uint8Array(0), Buffer.from(secret, 'hex'), scheme, proofBytes);
  return new Uint8Array(createHmac('sha256', Buffer.from(derived)).update(role).update(binding).digest());
}

/** Whether `proof` is the one of `role` in the connection with this binding. In constant time. */
export function isProof(proof: Uint8Array, role: Role, shared: Shared, binding: Uint8Array): boolean {
  return proof.byteLength === proofBytes && timingSafeEqual(proof, makeProof(role, shared, binding));
}

/** The job's id in the data channel, for the nth transfer of a session. No secret: it tells transfers apart. */
export function jobIdOf(secret: string, transfer: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`${scheme} ${transfer} ${secret}`).digest().subarray(0, 16));
}
