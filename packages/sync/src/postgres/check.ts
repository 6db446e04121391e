import type { Finding } from '../finding.ts';
import { type CheckWish, checkSource } from './check-source.ts';
import { findPrimary, useClient } from './connect.ts';
import { readFacts } from './server-facts.ts';
import type { SetupPlace } from './setup.ts';

/** Looks at a source before anything is done. Changes nothing. Throws when there is no primary to look at. */
export async function checkPostgres(
  { address, passwordFor }: SetupPlace,
  wish: CheckWish,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const node = await findPrimary(address, passwordFor, signal);
  return await useClient(await node.connect(), async (client) => {
    const { name, serverVersion } = node;
    return checkSource(
      await readFacts(client, { slot: wish.slot, publications: wish.publications, node: name, serverVersion }),
      wish,
    );
  });
}
