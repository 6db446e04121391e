import { readFileSync } from 'node:fs';
import { toErrorRecord } from '@batondb/core/errors';
import type { FirewallId, FirewallMode, Gate, IptablesGate } from './gate.ts';
import { filtersInput, iptablesRemoval, lockSeconds, staleIds } from './iptables.ts';
import { isEmptySet, isOfIptables, nftSweep, type Ruleset, readRuleset } from './nftables.ts';
import { hasTool, runTool } from './tools.ts';

/** What there is on this host. */
export type Survey = {
  readonly gates: readonly Gate[];
  /** Lines of sh that remove what jobs left whose agent and watchdog were both killed, in whatever chain it is. */
  readonly sweep: readonly string[];
  /** Which tools have answered. */
  readonly asked: readonly string[];
  /** Why others could not be asked. Only `auto` goes on without them. */
  readonly unable: readonly string[];
};

/** A chain of iptables, and whether it may turn something away as far as nft knows. */
type Candidate = { readonly gate: IptablesGate; readonly mayFilter: boolean };

/** Looks at this host's firewalls and changes nothing. Throws when one that the mode names cannot be looked at or understood. */
export async function surveyFirewall(mode: FirewallMode): Promise<Survey> {
  const gates: Gate[] = [];
  const sweep: string[] = [];
  const asked: string[] = [];
  const unable: string[] = [];
  // What is looked at only for what earlier jobs left in it may fail.
  const ask = async <T>(isWanted: boolean, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (isWanted && mode !== 'auto') throw error;
      if (isWanted) unable.push(toErrorRecord(error).message);
      return undefined;
    }
  };
  const ruleset = hasTool('nft') || mode === 'nftables' ? await ask(mode !== 'iptables', listRuleset) : undefined;
  if (ruleset !== undefined) asked.push('nft');
  for (const { gate, mayFilter } of iptablesChains(ruleset)) {
    const isWanted = mayFilter && mode !== 'nftables';
    const listing = await ask(isWanted, () => runTool([gate.program, '-w', `${lockSeconds}`, '-S', 'INPUT']));
    if (listing === undefined) continue;
    if (isWanted) asked.push(gate.program);
    if (isWanted && filtersInput(listing)) gates.push(gate);
    for (const id of staleIds(listing, Date.now())) sweep.push(...iptablesRemoval(gate, id));
  }
  if (ruleset !== undefined) {
    if (mode !== 'iptables') gates.push(...ruleset.gates.filter((gate) => !isOfIptables(gate)));
    for (const id of await staleSets(ruleset)) sweep.push(...nftSweep(ruleset, id));
  }
  return { gates, sweep, asked, unable };
}

async function listRuleset(): Promise<Ruleset> {
  return readRuleset(await runTool(['nft', '--json', '--terse', 'list', 'ruleset']));
}

/** The chains that are there, with their programs: asking about others would make the kernel set up tables. */
function iptablesChains(ruleset: Ruleset | undefined): Candidate[] {
  return (['ip', 'ip6'] as const).flatMap((family) => {
    const base = family === 'ip' ? 'iptables' : 'ip6tables';
    const isManaged = ruleset === undefined ? isOnPath(base) : ruleset.managed.includes(family);
    const mayFilter = ruleset?.gates.some((gate) => gate.family === family && isOfIptables(gate)) ?? true;
    const found = new Map<string, boolean>();
    if (isManaged) found.set(chooseProgram(`${base}-nft`, base), mayFilter);
    if (hasLegacyTable(family)) found.set(chooseProgram(`${base}-legacy`, base), true);
    return [...found].map(([program, may]) => ({ gate: { kind: 'iptables', family, program }, mayFilter: may }));
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
async function staleSets({ sets }: Ruleset): Promise<FirewallId[]> {
  const live = new Set<FirewallId>();
  for (const { id, family, table, name } of sets) {
    // One that is gone meanwhile was removed by its owner.
    const json = await runTool(['nft', '--json', 'list', 'set', family, table, name]).catch(() => undefined);
    if (json === undefined || !isEmptySet(json)) live.add(id);
  }
  return [...new Set(sets.map(({ id }) => id))].filter((id) => !live.has(id));
}
