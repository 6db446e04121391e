import { BatonError, type BatonErrorOptions, type ErrorCode } from '@batondb/core/errors';
import { status } from '@grpc/grpc-js';

// What a failed call means. Whoever wrote something wants to know one thing above all: whether it may have happened. etcd says so by the codes
// with which it refuses a request before it gives it to its own log; all other failures leave it open (T2).

type Refusal = { readonly code: ErrorCode } & BatonErrorOptions;

/** What etcd says, and what it means here. All of these are certain: the request did nothing. */
const refusals: readonly (readonly [says: RegExp, refusal: Refusal])[] = [
  [
    /database space exceeded/,
    {
      code: 'NO_SPACE',
      retryable: true,
      hint: 'whoever looks after that etcd has to compact and defragment it, raise its quota, and disarm its alarm',
    },
  ],
  [/too large|too many operations/, { code: 'LIMIT' }],
  [/too many requests/, { code: 'UNREACHABLE', retryable: true, hint: 'etcd has more to do than it can' }],
  [/has been compacted/, { code: 'HISTORY_LOST' }],
  [
    /permission denied|authentication failed|invalid auth token|user name is empty|user not found|authentication is not enabled/,
    { code: 'ACCESS_DENIED', hint: 'look at the user, its password and its roles: etcdctl user get' },
  ],
  [/lease not found/, { code: 'NOT_FOUND' }],
];

/** Codes with which nothing is said of whether the request was executed. */
const openCodes: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.INTERNAL,
  status.UNKNOWN,
  status.ABORTED,
  status.DATA_LOSS,
]);

type Failure = { readonly code: number; readonly details: string };

/** True when the token with which a user was logged in is not good any more. */
export function isTokenStale(error: unknown): boolean {
  return isFailure(error) && /invalid auth token|revision in header is old/.test(error.details);
}

/** True when the request was certainly not executed. */
export function isCertain(error: unknown): boolean {
  if (!isFailure(error)) return false;
  return error.code === status.UNIMPLEMENTED || (error.details.startsWith('etcdserver:') && !openCodes.has(error.code));
}

/** The failure of a call as a BatonError. `what` names the call and the endpoint. */
export function toEtcdError(error: unknown, what: string): BatonError {
  if (error instanceof BatonError) return error;
  if (!isFailure(error)) return new BatonError('BUG', `${what}: ${String(error)}`, { cause: error });
  const details = error.details.replace(/^etcdserver: /, '');
  const refusal = isCertain(error) ? refusals.find(([says]) => says.test(details)) : undefined;
  if (refusal !== undefined) {
    const [, { code, ...options }] = refusal;
    return new BatonError(code, `${what}: ${details}`, { ...options, cause: error });
  }
  const options = { retryable: openCodes.has(error.code), cause: error };
  switch (error.code) {
    case status.UNAVAILABLE:
      return new BatonError('UNREACHABLE', `${what}: ${details}`, options);
    case status.DEADLINE_EXCEEDED:
      return new BatonError('TIMED_OUT', `${what} was not answered in time`, options);
    case status.CANCELLED:
      return new BatonError('INTERRUPTED', `${what} was given up`, options);
    case status.UNIMPLEMENTED:
      return new BatonError('UNSUPPORTED', `${what}: this is no etcd of version 3.4 or later`, options);
    default:
      return new BatonError('PROTOCOL', `${what}: ${details}`, options);
  }
}

function isFailure(error: unknown): error is Failure {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}
