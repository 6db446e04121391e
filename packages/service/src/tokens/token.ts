import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

// A token: `baton_` and its number, `_` and its secret. Only the secret's SHA-256 is kept. The secret has 256 random bits, so nothing
// can be found by trying, and a slow hash, which passwords need, would gain nothing.

/** What a token allows. `write` includes `read`; `join` is for replicas, which see everything. */
export const rights = ['read', 'write', 'join'] as const;
export type Right = (typeof rights)[number];

/** What is kept of a token. */
export type TokenRecord = {
  /** What it is listed and revoked by: 12 hexadecimal digits. */
  readonly id: string;
  /** What a person called it. */
  readonly name: string;
  readonly rights: readonly Right[];
  /** SHA-256 of the secret, 64 hexadecimal digits. */
  readonly hash: string;
  readonly createdMs: number;
};

const idBytes = 6;
const secretBytes = 32;
const tokenPattern = /^baton_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** A new token: its text, which is shown once, and what is kept of it. */
export function makeToken(
  name: string,
  allowed: readonly Right[],
  nowMs: number,
): { token: string; record: TokenRecord } {
  const id = randomBytes(idBytes).toString('hex');
  const secret = randomBytes(secretBytes).toString('base64url');
  const record = { id, name, rights: [...allowed], hash: hashOf(secret).toString('hex'), createdMs: nowMs };
  return { token: `baton_${id}_${secret}`, record };
}

/** The record that a token's text belongs to. Secrets are compared in constant time (S3). */
export function findRecord(token: string, records: readonly TokenRecord[]): TokenRecord | undefined {
  const [, id, secret] = tokenPattern.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const record = records.find((candidate) => candidate.id === id);
  if (record === undefined) return undefined;
  return timingSafeEqual(hashOf(secret), Buffer.from(record.hash, 'hex')) ? record : undefined;
}

/** Whether a token with these rights may do what needs `right`. */
export function allows(allowed: readonly Right[], right: Right): boolean {
  return allowed.includes(right) || (right === 'read' && allowed.includes('write'));
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
