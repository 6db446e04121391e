import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { type Admission, admittedSeconds, type FirewallId, type NftGate } from './gate.ts';

// nftables: what a listing says, and the commands for nft -f. Pure. The listing is that of `nft --json --terse list
// ruleset` (libnftables-json(5)); of its rules only the names of their statements are looked at.

/** What a listing says of interest. */
export type Ruleset = {
  /** Base chains at the hook input that may turn something away. */
  readonly gates: readonly NftGate[];
  /** Families in which the chain INPUT of iptables stands, whether it turns something away or not. */
  readonly managed: readonly NftGate['family'][];
  /** Sets of ours, of this job or another. */
  readonly sets: readonly OwnSet[];
  /** Chains with a rule of ours, whatever else they do by now. */
  readonly rules: readonly OwnRule[];
};

export type OwnSet = {
  readonly id: FirewallId;
  readonly family: NftGate['family'];
  readonly table: string;
  readonly name: string;
};

export type OwnRule = Omit<NftGate, 'kind'> & { readonly id: FirewallId };

/** Statements that let a packet go on to the next rule, or in. Anything else, known or not, counts as filtering. */
const harmless: ReadonlySet<string> = new Set(['match', 'counter', 'log', 'limit', 'accept', 'return', 'continue']);
/** Names that nft's grammar takes as they are, and a shell too. */
const plainName = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const ownSetName = /^baton_([0-9a-f]{16})_[46]$/;
const ownComment = /^baton:([0-9a-f]{16})$/;

const named = z.object({ family: z.string(), table: z.string(), name: z.string() });
const listing = z.object({
  nftables: z.array(
    z.object({
      chain: z.exactOptional(
        named.extend({
          type: z.exactOptional(z.string()),
          hook: z.exactOptional(z.string()),
          policy: z.exactOptional(z.string()),
        }),
      ),
      rule: z.exactOptional(
        z.object({
          family: z.string(),
          table: z.string(),
          chain: z.string(),
          comment: z.exactOptional(z.string()),
          expr: z.exactOptional(z.array(z.record(z.string(), z.unknown()))),
        }),
      ),
      set: z.exactOptional(named),
    }),
  ),
});
const setListing = z.object({
  nftables: z.array(z.object({ set: z.exactOptional(z.object({ elem: z.exactOptional(z.array(z.unknown())) })) })),
});

/** Reads a listing. Throws when it is none, or when a chain that filters has a name that cannot be written down. */
export function readRuleset(json: string): Ruleset {
  const { nftables } = listing.parse(JSON.parse(json));
  const filtering = new Set<string>();
  for (const { rule } of nftables) {
    if (rule === undefined) continue;
    const isHarmless = (rule.expr ?? []).every((statement) => Object.keys(statement).every((key) => harmless.has(key)));
    if (!isHarmless) filtering.add(keyOf(rule.family, rule.table, rule.chain));
  }
  const arrivals = nftables.flatMap(({ chain }): (NftGate & { readonly policy?: string | undefined })[] => {
    if (chain?.hook !== 'input' || chain.type !== 'filter') return [];
    const { family, table, name, policy } = chain;
    return isOurFamily(family) ? [{ kind: 'nftables', family, table, chain: name, policy }] : [];
  });
  const gates = arrivals.flatMap(({ policy, ...gate }): NftGate[] => {
    const { family, table, chain } = gate;
    if (policy !== 'drop' && !filtering.has(keyOf(family, table, chain))) return [];
    if (!plainName.test(table) || !plainName.test(chain))
      throw new Error(`the chain ${JSON.stringify(`${family} ${table} ${chain}`)} has a name that nft cannot be told`);
    return [gate];
  });
  const managed = arrivals.filter(isOfIptables).map(({ family }) => family);
  return { gates, managed, ...readOwn(nftables) };
}

/** What is ours, of this job or another. */
function readOwn(nftables: z.infer<typeof listing>['nftables']): Pick<Ruleset, 'sets' | 'rules'> {
  const sets = nftables.flatMap(({ set }): OwnSet[] => {
    const id = ownSetName.exec(set?.name ?? '')?.[1];
    if (set === undefined || id === undefined || !plainName.test(set.table) || !isOurFamily(set.family)) return [];
    return [{ id, family: set.family, table: set.table, name: set.name }];
  });
  const rules = nftables.flatMap(({ rule }): OwnRule[] => {
    const id = ownComment.exec(rule?.comment ?? '')?.[1];
    if (rule === undefined || id === undefined || !isOurFamily(rule.family)) return [];
    const { family, table, chain } = rule;
    return plainName.test(table) && plainName.test(chain) ? [{ id, family, table, chain }] : [];
  });
  return { sets, rules };
}

/** A family in whose tables rules of ours may stand. */
function isOurFamily(family: string): family is NftGate['family'] {
  return family === 'ip' || family === 'ip6' || family === 'inet';
}

function keyOf(...names: readonly string[]): string {
  return JSON.stringify(names);
}

/** Whether `nft --json list set` shows a set in which nobody is any more. */
export function isEmptySet(json: string): boolean {
  const { nftables } = setListing.parse(JSON.parse(json));
  return nftables.every(({ set }) => (set?.elem ?? []).length === 0);
}

/** Whether a chain is the one that iptables' own nft backend manages, and in which nothing but iptables may write. */
export function isOfIptables({ family, table, chain }: NftGate): boolean {
  return family !== 'inet' && table === 'filter' && chain === 'INPUT';
}

/** One transaction that lets the addresses in: sets whose elements the kernel forgets, and a rule at each chain's head. */
export function openCommands(gates: readonly NftGate[], id: FirewallId, { addresses, port }: Admission): string {
  const lines = tablesOf(gates).flatMap((table) =>
    setsOf(table, id).map(
      ({ name, type }) => `add set ${table} ${name} { type ${type}; flags timeout; timeout ${admittedSeconds}s; }`,
    ),
  );
  const rules = gates.flatMap(({ family, table, chain }) =>
    setsOf(`${family} ${table}`, id).map(({ name, protocol }) => {
      const condition = `${protocol} saddr @${name} tcp dport ${port}`;
      return `insert rule ${family} ${table} ${chain} ${condition} accept comment "baton:${id}"`;
    }),
  );
  return `${[...lines, ...elementLines(gates, id, addresses), ...rules].join('\n')}\n`;
}

/** One transaction after which exactly these addresses are let in, from now on for the whole time. */
export function renewCommands(gates: readonly NftGate[], id: FirewallId, { addresses }: Admission): string {
  const flushes = tablesOf(gates).flatMap((table) => setsOf(table, id).map(({ name }) => `flush set ${table} ${name}`));
  return `${[...flushes, ...elementLines(gates, id, addresses)].join('\n')}\n`;
}

/** Lines of sh that remove our rules and sets. */
export function nftRemoval(gates: readonly NftGate[], id: FirewallId): string[] {
  return tablesOf(gates).flatMap((table) => {
    const chains = gates.filter((gate) => tableOf(gate) === table).map(({ chain }) => chain);
    return removalFrom(table, chains, id);
  });
}

/** The same for a job of which only a listing tells: its sets, and its rules wherever they are. */
export function nftSweep({ sets, rules }: Pick<Ruleset, 'sets' | 'rules'>, id: FirewallId): string[] {
  const tables = new Set(sets.filter((set) => set.id === id).map(tableOf));
  return [...tables].flatMap((table) => {
    const ofTable = rules.filter((rule) => rule.id === id && tableOf(rule) === table);
    return removalFrom(table, [...new Set(ofTable.map(({ chain }) => chain))], id);
  });
}

/**
 * A handle says nothing in a table that was made anew meanwhile; there our set is missing, and since all goes in one transaction,
 * nothing happens then.
 */
function removalFrom(table: string, chains: readonly string[], id: FirewallId): string[] {
  const names = setsOf(table, id).map(({ name }) => name);
  const rules = chains.map((chain) => {
    const edit = `s/^.* comment "baton:${id}" # handle \\([0-9][0-9]*\\)$/delete rule ${table} ${chain} handle \\1/p`;
    return `nft -t -a list chain ${table} ${chain} | sed -n '${edit}'`;
  });
  const sets = `printf 'delete set ${table} %s\\n' ${names.join(' ')}`;
  return [
    'for attempt in 1 2 3 4 5; do',
    `nft -t list set ${table} ${names[0] ?? ''} || break`,
    `{ ${[...rules, sets].join('; ')}; } | nft -f - && break`,
    'sleep 1',
    'done',
  ];
}

function elementLines(gates: readonly NftGate[], id: FirewallId, addresses: readonly string[]): string[] {
  return tablesOf(gates).flatMap((table) =>
    setsOf(table, id).flatMap(({ name, protocol }) => {
      const fitting = addresses.filter((address) => isIPv6(address) === (protocol === 'ip6'));
      return fitting.length === 0 ? [] : [`add element ${table} ${name} { ${fitting.join(', ')} }`];
    }),
  );
}

function tablesOf(gates: readonly NftGate[]): string[] {
  return [...new Set(gates.map(tableOf))];
}

function tableOf({ family, table }: Pick<NftGate, 'family' | 'table'>): string {
  return `${family} ${table}`;
}

function setsOf(table: string, id: FirewallId): { name: string; type: string; protocol: 'ip' | 'ip6' }[] {
  const four = { name: `baton_${id}_4`, type: 'ipv4_addr', protocol: 'ip' } as const;
  const six = { name: `baton_${id}_6`, type: 'ipv6_addr', protocol: 'ip6' } as const;
  if (table.startsWith('ip ')) return [four];
  return table.startsWith('ip6 ') ? [six] : [four, six];
}
