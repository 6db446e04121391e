import { type Identity, makeIdentity } from '../src/transport/certificate.ts';
import { openMemoryPair } from '../src/transport/memory.ts';
import { connectTls, type Listener, type ListenOptions, listenTls } from '../src/transport/tls.ts';
import type { Connection } from '../src/transport/transport.ts';

// Connected pairs for the conformance suite and the other tests of the transport.

/** Two ends of one connection. Disposal breaks both. */
export type Pair = AsyncDisposable & { readonly left: Connection; readonly right: Connection };

function pairOf(left: Connection, right: Connection, listener?: Listener): Pair {
  return {
    left,
    right,
    async [Symbol.asyncDispose]() {
      left.destroy();
      right.destroy();
      await Promise.all([left[Symbol.asyncDispose](), right[Symbol.asyncDispose](), listener?.[Symbol.asyncDispose]()]);
    },
  };
}

export function openMemory(): Promise<Pair> {
  return Promise.resolve(pairOf(...openMemoryPair()));
}

/** Any free port of the loopback interface. */
export const anyPort = { first: 0, last: 0, excluded: [] };

/** A listener on the loopback interface that trusts `members`, and its identity. */
export async function listenLocally(
  members: readonly Identity[],
  options: Partial<ListenOptions> = {},
): Promise<{ readonly listener: Listener; readonly identity: Identity }> {
  const identity = makeIdentity();
  const fingerprints = new Set(members.map((member) => member.fingerprint));
  const listener = await listenTls({
    host: '127.0.0.1',
    ports: anyPort,
    identity,
    allowed: () => fingerprints,
    ...options,
  });
  return { listener, identity };
}

export async function openTls(): Promise<Pair> {
  const client = makeIdentity();
  const { listener, identity } = await listenLocally([client]);
  const [left, right] = await Promise.all([
    connectTls({
      host: '127.0.0.1',
      port: listener.port,
      identity: client,
      expectedFingerprint: identity.fingerprint,
      timeoutMs: 5000,
    }),
    listener.accept(AbortSignal.timeout(5000)),
  ]);
  if (right === undefined) throw new Error('the listener gave no connection');
  return pairOf(left, right, listener);
}
