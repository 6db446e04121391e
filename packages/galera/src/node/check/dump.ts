import { findDump } from '../../donor/dump.ts';
import { planDump } from '../../donor/logical-checks.ts';
import { findServer } from '../../joiner/temporary-server.ts';
import { type CheckFinding, ok } from './finding.ts';
import type { Node } from './node.ts';

/** Whether method=logical can give and take what this server holds. Only a server that runs can tell what it holds. Throws what keeps it from that. */
export async function checkDump({ read, server }: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  if (read?.settings.method !== 'logical') return [];
  findDump();
  findServer();
  if (server === undefined) return [ok('dump', 'not tried: no server answers')];
  const { tables } = await planDump(server, signal);
  return [ok('dump', `all of ${tables.length} tables can be dumped`)];
}
