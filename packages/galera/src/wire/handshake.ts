import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { encodeFrame, frameTypes } from '@batondb/core/protocol/frame';
import { chooseVersion } from '@batondb/core/protocol/versions';
import type { Identity } from '@batondb/core/transport/certificate';
import type { UnprovenPeer } from '@batondb/core/transport/proof-listener';
import { connectTls, type IssuedBy } from '@batondb/core/transport/tls';
import type { Connection } from '@batondb/core/transport/transport';
import { type Certified, notVouchedFor } from './certified.ts';
import {
  decodeMessage,
  encodeMessage,
  type Failed,
  type Hello,
  type Message,
  type Proof,
  sessionVersions,
} from './messages.ts';
import { isProof, makeProof, type Shared } from './proof.ts';

// The first message in each direction of every connection: both sides prove the secret of the session and the key (G5).

/** Where the joiner listens, as its ready line says. */
export type JoinerPlace = { readonly host: string; readonly port: number; readonly fingerprint: string };

/** What the donor connects with. */
export type Dialing = {
  readonly place: JoinerPlace;
  readonly shared: Shared;
  readonly identity: Identity;
  /** Where an authority has to vouch for the joiner. */
  readonly certified: Certified | undefined;
  /** Tells processes with the same certificate apart. */
  readonly instance: string | undefined;
};

/** What a connection is for. */
export type Purpose = Pick<Hello, 'purpose' | 'transfer' | 'received'>;

/**
 * The donor's side: connects, proves itself, and has the joiner prove itself. Throws HOP_UNREACHABLE, CONNECTION_LOST (also for a joiner
 * that says nothing), NOT_TRUSTED, VERSION_MISMATCH, what the joiner refused with, or the signal's reason.
 */
export async function connectProven(
  { place, shared, identity, certified, instance }: Dialing,
  purpose: Purpose,
  signal: AbortSignal,
): Promise<{ readonly connection: Connection; readonly proof: Proof }> {
  const { host, port, fingerprint: expectedFingerprint } = place;
  const name = `the joiner at ${host} port ${port}`;
  const timeoutMs = limits.connectMsMax;
  const issued = certified === undefined ? undefined : issuedBy(certified, name);
  const connection = await connectTls({ host, port, identity, expectedFingerprint, issued, timeoutMs }, signal);
  try {
    const proof = makeProof('donor', shared, connection.binding);
    const which = instance === undefined ? {} : { instance };
    await say(connection, { type: 'hello', versions: sessionVersions, proof, ...which, ...purpose });
    const answer = await listen(connection, name, signal);
    if (answer.type === 'failed') throw failureOf('the joiner refused', answer);
    if (answer.type !== 'proof') throw unexpected(answer, 'proof');
    checkVersion(answer.version, name);
    if (!isProof(answer.proof, 'joiner', shared, connection.binding)) throw notProven(name);
    return { connection, proof: answer };
  } catch (error) {
    await refuse(connection, error);
    connection.destroy();
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

function issuedBy(certified: Certified, name: string): IssuedBy {
  const { authority, isForHost } = certified;
  return {
    authority,
    isForHost,
    refuse: async (connection, distrust) => {
      const error = notVouchedFor(name, distrust, certified);
      await refuse(connection, error);
      return error;
    },
  };
}

/** Who proved itself: a certificate, and which of the processes that have it, where certificates are not made for one process. */
export type DonorId = { readonly fingerprint: string; readonly instance: string | undefined };

/** What the joiner judges a stranger by. */
export type Admission = {
  readonly shared: Shared;
  /** Where an authority has to vouch for the donor. */
  readonly certified: Certified | undefined;
  /** The donor that is at work already. */
  readonly donor: () => DonorId | undefined;
  /** A stranger has proven itself: from now on it is the donor. Called before anything is waited for. */
  readonly onProven: (donor: DonorId) => void;
  /** Messages that the joiner has. */
  readonly received: () => number;
};

/**
 * The joiner's side: has a stranger prove itself, and proves itself then. Tells the stranger why when it refuses it, and throws
 * NOT_TRUSTED, BUSY (another donor is at work), VERSION_MISMATCH, PROTOCOL, LIMIT, CONNECTION_LOST, or the signal's reason.
 */
export async function admitDonor(peer: UnprovenPeer, admission: Admission, signal: AbortSignal): Promise<Hello> {
  try {
    const hello = await listen(peer, peer.name, signal);
    if (hello.type === 'failed') throw failureOf(`${peer.name} refused`, hello);
    if (hello.type !== 'hello') throw unexpected(hello, 'hello');
    checkVouchedFor(peer, hello, admission.certified);
    const version = chooseVersion(sessionVersions, hello.versions);
    if (version === undefined) throw noVersion(peer.name, hello);
    if (!isProof(hello.proof, 'donor', admission.shared, peer.binding)) throw notProven(peer.name);
    checkDonor(peer, hello, admission.donor());
    admission.onProven({ fingerprint: peer.peerFingerprint, instance: hello.instance });
    const proof = makeProof('joiner', admission.shared, peer.binding);
    await say(peer, { type: 'proof', version, proof, received: admission.received() });
    return hello;
  } catch (error) {
    await refuse(peer, error);
    throw error;
  }
}

/** A failure that the other side told of, as an error of ours. */
export function failureOf(who: string, { code, message, retryable, hint }: Failed): BatonError {
  const record = { code, message: `${who}: ${message}`, retryable };
  return fromErrorRecord(hint === undefined ? record : { ...record, hint });
}

/** What a side says of its own failure. */
export function failedOf(error: unknown): Failed {
  const { code, message, retryable, hint } = toErrorRecord(error);
  const said = { type: 'failed', code, message: message.slice(0, 2000), retryable } as const;
  return hint === undefined ? said : { ...said, hint: hint.slice(0, 1000) };
}

function checkVouchedFor(peer: UnprovenPeer, { instance }: Hello, certified: Certified | undefined): void {
  if (certified === undefined) return;
  if (peer.distrust !== undefined) throw notVouchedFor(peer.name, peer.distrust, certified);
  if (instance === undefined) throw new BatonError('PROTOCOL', `${peer.name} does not say which process it is`);
}

function checkDonor(peer: UnprovenPeer, { purpose, transfer, instance }: Hello, donor: DonorId | undefined): void {
  if (donor !== undefined && (donor.fingerprint !== peer.peerFingerprint || donor.instance !== instance)) {
    const words = (id: DonorId): string => `${id.fingerprint.slice(0, 16)} ${id.instance ?? ''}`.trim();
    throw new BatonError(
      'BUSY',
      `${peer.name} proved the secret and the key, but another donor is at work: its certificate is ${words(donor)}, and this one's is ${words({ fingerprint: peer.peerFingerprint, instance })}`,
      { hint: 'find out which node took part in two transfers; its error log says so' },
    );
  }
  if (purpose === 'data' && (donor === undefined || transfer === 0)) {
    throw new BatonError('PROTOCOL', `${peer.name} sends data before anything was offered`);
  }
}

function checkVersion(version: number, name: string): void {
  if (version >= sessionVersions.min && version <= sessionVersions.max) return;
  throw new BatonError(
    'VERSION_MISMATCH',
    `${name} chose version ${version} of the session, and this node speaks ${sessionVersions.min} to ${sessionVersions.max}`,
    { hint: 'install the same version of baton on every node' },
  );
}

function noVersion(name: string, { versions }: Hello): BatonError {
  return new BatonError(
    'VERSION_MISMATCH',
    `${name} speaks versions ${versions.min} to ${versions.max} of the session, and this node ${sessionVersions.min} to ${sessionVersions.max}`,
    { hint: 'install the same version of baton on every node' },
  );
}

function notProven(name: string): BatonError {
  return new BatonError(
    'NOT_TRUSTED',
    `${name} has not proven the secret of this transfer and the key of this cluster`,
    {
      hint: 'compare the key of both nodes: the key file, or wsrep_sst_auth where there is none',
    },
  );
}

async function listen(peer: Pick<Connection, 'readFrame'>, name: string, signal: AbortSignal): Promise<Message> {
  const late = AbortSignal.timeout(limits.handshakeMsMax);
  try {
    const frame = await peer.readFrame(AbortSignal.any([signal, late]));
    if (frame === undefined) throw lost(`${name} closed the connection before it had proven anything`);
    if (frame.type === frameTypes.message) return decodeMessage(frame.payload).message;
    throw new BatonError('PROTOCOL', `${name} sent a frame of type ${frame.type} where a message was due`);
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) throw lost(`${name} took the connection and said nothing for ${limits.handshakeMsMax} ms`);
    throw error;
  }
}

async function say(peer: Pick<Connection, 'write'>, message: Hello | Proof | Failed): Promise<void> {
  await peer.write(...encodeFrame(frameTypes.message, encodeMessage(message)));
}

/** Tells the other side why, if it still listens. Never rejects. */
async function refuse(peer: Pick<Connection, 'write'>, error: unknown): Promise<void> {
  // The one who closed, or never said anything, does not read it either; nobody else is told of a loss.
  if (error instanceof BatonError && error.code === 'CONNECTION_LOST') return;
  await say(peer, failedOf(error)).catch(() => undefined);
}

function lost(message: string): BatonError {
  return new BatonError('CONNECTION_LOST', message, { retryable: true });
}

function unexpected({ type }: Message, wanted: string): BatonError {
  return new BatonError('PROTOCOL', `${type} arrived where ${wanted} was due`);
}
