import { probeHop } from '@batondb/core/transfer/hop-sender';
import type { Identity } from '@batondb/core/transport/certificate';
import type { Membership } from './agent.ts';
import { connectToMember, hopOptions, type Peer } from './connect.ts';

/** The first address at which a member answers, proves its certificate and admits us. */
export async function findReachable(
  identity: Identity,
  membership: Membership,
  peer: Peer,
  signal: AbortSignal,
): Promise<string> {
  const { connection, address } = await connectToMember(identity, membership, peer, signal);
  const feed = { streams: 1, compression: { mode: 'none' }, rateLimit: undefined, readsMax: 1 } as const;
  const options = hopOptions(identity, membership, { ...peer, epoch: 0 }, feed);
  await probeHop({ ...options, connect: async () => connection }, signal);
  return address;
}
