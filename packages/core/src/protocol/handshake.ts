import { timingSafeEqual } from 'node:crypto';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { limitError, protocolError } from './bytes.ts';
import type { Hello } from './hello.ts';
import type { VersionRange } from './versions.ts';

export { chooseVersion, dataVersions, type VersionRange } from './versions.ts';

// Whether a connection may speak: a pure judgement over the first frame and what TLS says of the peer.

/** What the receiver knows when a HELLO arrives. */
export type HelloExpectation = {
  readonly jobId: Uint8Array;
  /** The receiver's own number. */
  readonly to: number;
  /** The route the receiver was told of last. */
  readonly epoch: number;
  /** Certificate fingerprints of all members, by member number. */
  readonly members: readonly string[];
  /** Fingerprint of the certificate that the peer proved in this connection. */
  readonly peerFingerprint: string;
  /** Keying material exported from this connection. */
  readonly binding: Uint8Array;
  readonly versions: VersionRange;
};

export type HelloVerdict = { readonly accepted: true } | { readonly accepted: false; readonly error: BatonError };

/** Judges a HELLO. The first thing that does not fit decides; the error names the field and both values (of secrets: their first bytes). */
export function checkHello(hello: Hello, expectation: HelloExpectation): HelloVerdict {
  const error = versionError(hello, expectation) ?? trustError(hello, expectation) ?? routeError(hello, expectation);
  return error === undefined ? { accepted: true } : { accepted: false, error };
}

function versionError(hello: Hello, { versions }: HelloExpectation): BatonError | undefined {
  if (hello.version >= versions.min && hello.version <= versions.max) return undefined;
  return new BatonError(
    'VERSION_MISMATCH',
    `hello: version is ${hello.version}, but this host speaks ${versions.min} to ${versions.max}`,
    { hint: 'install the same version of baton on every host' },
  );
}

function trustError(hello: Hello, expectation: HelloExpectation): BatonError | undefined {
  const { jobId, members, peerFingerprint, binding } = expectation;
  if (!sameBytes(hello.jobId, jobId))
    return notTrusted('job', start(hello.jobId), `this host works on ${start(jobId)}`);
  if (!sameBytes(hello.binding, binding))
    return notTrusted('binding', start(hello.binding), `this connection's is ${start(binding)}`);
  const member = members[hello.from];
  if (member === undefined) return notTrusted('from', hello.from, `the job has ${members.length} members`);
  if (member !== peerFingerprint) {
    return notTrusted(
      'from',
      `${hello.from} (certificate ${peerFingerprint.slice(0, 16)})`,
      `that member's certificate is ${member.slice(0, 16)}`,
    );
  }
  return undefined;
}

function routeError(hello: Hello, { to, epoch }: HelloExpectation): BatonError | undefined {
  if (hello.to !== to) return protocolError('hello', 'to', hello.to, `this host is number ${to}`);
  if (hello.from === to) return protocolError('hello', 'from', hello.from, 'that is the receiver itself');
  if (hello.epoch !== epoch) return wrongEpoch(hello.epoch, epoch);
  if (hello.streams > limits.streamsMax) return limitError('hello', 'streams', hello.streams, limits.streamsMax);
  if (hello.stream >= hello.streams)
    return protocolError('hello', 'stream', hello.stream, `there are ${hello.streams} streams, counted from 0`);
  return undefined;
}

/** A later route may simply not have reached this host yet, so its sender should try again; an older one is over for good. */
function wrongEpoch(found: number, current: number): BatonError {
  return new BatonError('PROTOCOL', `hello: epoch is ${found}, but this host was told of route ${current}`, {
    retryable: found > current,
  });
}

function notTrusted(field: string, found: unknown, expected: string): BatonError {
  return new BatonError('NOT_TRUSTED', `hello: ${field} is ${String(found)}, but ${expected}`);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function start(bytes: Uint8Array): string {
  return `${Buffer.from(bytes.subarray(0, 4)).toString('hex')}…`;
}
