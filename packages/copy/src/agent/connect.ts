import { randomInt } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import type { HopOptions } from '@batondb/core/transfer/hop-sender';
import type { Identity } from '@batondb/core/transport/certificate';
import { connectTls } from '@batondb/core/transport/tls';
import type { Connection } from '@batondb/core/transport/transport';
import type { Membership } from './agent.ts';

/** Another member and where it may be reached. */
export type Peer = { readonly to: number; readonly addresses: readonly string[]; readonly port: number };

/** Connects to a member at the first of its addresses that answers with its certificate. */
export async function connectToMember(
  identity: Identity,
  membership: Membership,
  peer: Peer,
  signal: AbortSignal,
): Promise<{ connection: Connection; address: string }> {
  const expectedFingerprint = membership.members[peer.to];
  if (expectedFingerprint === undefined) throw new BatonError('PROTOCOL', `there is no member ${peer.to}`);
  const failures: string[] = [];
  let trusted = true;
  for (const host of peer.addresses) {
    try {
      const options = { host, port: peer.port, identity, expectedFingerprint, timeoutMs: limits.connectMsMax };
      return { connection: await connectTls(options, signal), address: host };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BatonError && error.code === 'NOT_TRUSTED') trusted = false;
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const hint = trusted
    ? `allow TCP port ${peer.port} in the firewall between the two, or choose another with --port`
    : `see what else answers on TCP port ${peer.port} there, another copy perhaps, or choose another with --port`;
  const message = failures.join('; ') || 'it has no address';
  throw new BatonError(trusted ? 'HOP_UNREACHABLE' : 'NOT_TRUSTED', message, { retryable: true, hint });
}

/** What a hop of this job looks like to the transfer engine. */
export function hopOptions(
  identity: Identity,
  membership: Membership,
  peer: Peer & { readonly epoch: number },
  feed: Pick<HopOptions, 'streams' | 'compression' | 'rateLimit' | 'readsMax'>,
): HopOptions {
  const { jobId, member, dataVersion } = membership;
  return {
    ...feed,
    hello: { version: dataVersion, jobId, from: member, to: peer.to, epoch: peer.epoch },
    connect: async (signal) => (await connectToMember(identity, membership, peer, signal)).connection,
  };
}

/** A wait before the next attempt: doubles from a quarter of a second to 4 s, with a tenth of chance in it. */
export function retryDelayMs(attempt: number): number {
  const base = Math.min(250 * 2 ** Math.min(attempt, 8), 4000);
  return base + randomInt(Math.ceil(base / 10));
}
