import { readFileSync } from 'node:fs';
import type { FirewallId, FirewallMode, Gate, IptablesGate, NftGate } from './gate.ts';
import { filtersInput, iptablesRemoval, lockSeconds, staleIds } from './iptables.ts';
import { isEmptySet, isOfIptables, nftRemoval, type OwnSet, readRuleset } from './nftables.ts';
import { hasTool, runTool } from './tools.ts';

/** What there is on this host. */
export type Survey = {
  readonly gates: readonly Gate[];
  /** Lines of sh that remove what jobs left whose agent and watchdog were both killed. */
  readonly sweep: readonly string[];
  /** Which tools were asked. */
  readonly asked: readonly string[];
};

/** Looks at this host's firewalls and changes nothing. Throws when one cannot be understood. */
export async function surveyFirewall(mode: FirewallMode): Promise<Survey> {
  const asked: string[] = [];
  const isNftThere = hasTool('nft') || mode === 'nftables';
  const ruleset = isNftThere ? readRuleset(await runTool(['nft', '--json', '--terse', 'list', 'ruleset'])) : undefined;
  if (isNftThere) asked.push('nft');
  const gates: Gate[] = [];
  const sweep: string[] = [];
  const ofIptables = ruleset?.gates.filter(isOfIptables) ?? [];
  const programs = mode === 'nftables' ? [] : iptablesPrograms(ruleset === undefined ? undefined : ofIptables);
  for (const gate of programs) {
    asked.push(gate.program);
    const listing = await runTool([gate.program, '-w', `${lockSeconds}`, '-S', 'INPUT']);
    if (filtersInput(listing)) gates.push(gate);
    for (const id of staleIds(listing, Date.now())) sweep.push(...iptablesRemoval(gate, id));
  }
  if (ruleset !== undefined && mode !== 'iptables') {
    gates.push(...ruleset.gates.filter((gate) => !isOfIptables(gate)));
    sweep.push(...(await sweepSets(ruleset.sets, ruleset.gates)));
  }
  return { gates, sweep, asked };
}

/** The programs that manage chains which are there: asking about others would make the kernel set up tables. */
function iptablesPrograms(nft: readonly NftGate[] | undefined): IptablesGate[] {
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const base = family === 'ip' ? 'iptables' : 'ip6tables';
    const isManaged = nft === undefined ? isOnPath(base) : nft.some((gate) => gate.family === family);
    const candidates = [
      ...(isManaged ? [chooseProgram(`${base}-nft`, base)] : []),
      ...(hasLegacyTable(family) ? [chooseProgram(`${base}-legacy`, base)] : []),
    ];
    return [...new Set(candidates)].map((program) => ({ kind: 'iptables', family, program }));
  });
}

function isOnPath(base: string): boolean {
  return hasTool(`${base}-nft`) || hasTool(base);
}

function chooseProgram(exact: string, base: string): string {
  return hasTool(exact) ? exact : base;
}

/** The kernel's own list of the tables of the old backend; to ask iptables-legacy would make them. */
function hasLegacyTable(family: 'ip' | 'ip6'): boolean {
  try {
    return readFileSync(`/proc/net/${family}_tables_names`, 'latin1').split('\n').includes('filter');
  } catch {
    return false;
  }
}

/** A job is over when all its sets are empty: its agent would have renewed what is in them. */
async function sweepSets(sets: readonly OwnSet[], gates: readonly NftGate[]): Promise<string[]> {
  const live = new Set<FirewallId>();
  for (const { id, family, table, name } of sets) {
    // One that is gone meanwhile was removed by its owner.
    const json = await runTool(['nft', '--json', 'list', 'set', family, table, name]).catch(() => undefined);
    if (json === undefined || !isEmptySet(json)) live.add(id);
  }
  const stale = [...new Set(sets.map(({ id }) => id))].filter((id) => !live.has(id));
  return stale.flatMap((id) => {
    const tables = new Set(sets.filter((set) => set.id === id).map(({ family, table }) => `${family} ${table}`));
    return nftRemoval(
      gates.filter(({ family, table }) => tables.has(`${family} ${table}`)),
      id,
    );
  });
}
