import { formatBytes, formatDuration } from '@batondb/core/text/format';
import { parseBytes } from '../../settings/values.ts';
import { type CheckFinding, ok, warning } from './finding.ts';
import type { Node } from './node.ts';

/** Nodes that are away for less than this should be able to come back by an incremental transfer. */
const gcacheMsMin = 3_600_000;
/** A rate of writes that was measured over less says nothing. */
const uptimeSecondsMin = 600;

/** What the node's own options say about transfers. */
export async function checkConfiguration(node: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  const variables = await variablesOf(node, signal);
  return [
    checkMethod(variables),
    checkDonors(variables.get('wsrep-sst-donor') ?? ''),
    ...checkGroup(node),
    ...(node.read?.findings ?? []).map(({ subject, text, hint }) => warning(subject, text, hint ?? 'remove it')),
    ...(await checkGcache(node, variables, signal)),
  ];
}

/** As the running server has them, else as the files say. */
async function variablesOf({ server, options }: Node, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  if (server === undefined) return options.server;
  const rows = await server.query("SHOW GLOBAL VARIABLES LIKE 'wsrep%'", signal);
  return new Map(rows.map((row) => [(row.get('Variable_name') ?? '').replaceAll('_', '-'), row.get('Value') ?? '']));
}

function checkMethod(variables: ReadonlyMap<string, string>): CheckFinding {
  const method = variables.get('wsrep-sst-method') || 'rsync';
  if (method === 'baton') return ok('method', 'wsrep_sst_method is baton');
  const text = `wsrep_sst_method is ${method}: this node can be a donor of baton, and asks for ${method} when it joins`;
  return warning('method', text, 'write wsrep_sst_method=baton below [mysqld]');
}

function checkDonors(donors: string): CheckFinding {
  if (donors === '' || donors.endsWith(','))
    return ok('donors', donors === '' ? 'any node of the cluster' : `${donors} or any other node`);
  const text = `wsrep_sst_donor is ${donors}: without any of them a node cannot join`;
  return warning('donors', text, `write wsrep_sst_donor=${donors}, with a comma at its end: any other node then`);
}

function checkGroup({ read }: Node): CheckFinding[] {
  if (read === undefined) return [];
  if (read.server.isGroupEncrypted) return [ok('group', "the nodes' channel is encrypted (socket.ssl)")];
  return [
    ok('group', "the nodes' channel is in clear: the key proves the nodes, and transfers are encrypted by themselves"),
  ];
}

/** How long a node may be away. Of a server that runs for a while: what it has written tells. */
async function checkGcache(
  { server }: Node,
  variables: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<CheckFinding[]> {
  const size = /(?:^|;) *gcache\.size *= *(\w+)/.exec(variables.get('wsrep-provider-options') ?? '')?.[1];
  if (server === undefined || size === undefined) return [];
  const names = "'wsrep_replicated_bytes', 'wsrep_received_bytes', 'Uptime'";
  const rows = await server.query(`SHOW GLOBAL STATUS WHERE Variable_name IN (${names})`, signal);
  const status = new Map(rows.map((row) => [row.get('Variable_name') ?? '', Number(row.get('Value'))]));
  const writtenBytes = (status.get('wsrep_replicated_bytes') ?? 0) + (status.get('wsrep_received_bytes') ?? 0);
  const seconds = status.get('Uptime') ?? 0;
  const bytes = parseBytes('gcache.size', size);
  if (seconds < uptimeSecondsMin || writtenBytes === 0)
    return [ok('gcache', `gcache.size is ${formatBytes(bytes)}; the server runs too short to say how long that lasts`)];
  const ms = (bytes / writtenBytes) * seconds * 1000;
  const text = `gcache.size is ${formatBytes(bytes)}, which holds about ${formatDuration(ms)} of writes`;
  if (ms >= gcacheMsMin) return [ok('gcache', text)];
  const next = `wsrep_provider_options="gcache.size=${Math.ceil((gcacheMsMin / ms) * (bytes / 1024 ** 2))}M" would hold an hour`;
  return [warning('gcache', `${text}: a node that is away longer needs its whole state`, next)];
}
