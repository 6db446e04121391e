// A gate is a place where this host decides about what comes in, and where a rule of ours may stand.

/** How rules are made: as `--firewall` says, but for `none`, with which nobody asks. */
export type FirewallMode = 'auto' | 'nftables' | 'iptables';

/** A base chain of nftables at the hook input. */
export type NftGate = {
  readonly kind: 'nftables';
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
};

/** The chain INPUT of iptables, of either backend. `program` is `iptables`, `ip6tables-legacy` and the like. */
export type IptablesGate = {
  readonly kind: 'iptables';
  readonly family: 'ip' | 'ip6';
  readonly program: string;
};

export type Gate = NftGate | IptablesGate;

/** Who is let in: `addresses` have been checked to be IPv4 or IPv6 addresses without a zone. */
export type Admission = { readonly addresses: readonly string[]; readonly port: number };

/** How long a rule lets anybody in after its last renewal. */
export const admittedSeconds = 30;

/** What one firewall object of one agent is known by: in comments `baton:ID`, in sets `baton_ID_4`. */
export type FirewallId = string;

/** What can be opened or not: a table of nftables, whose owner may be somebody who lets nobody change it, or a program's chain. */
export function placeOf(gate: Gate): string {
  return gate.kind === 'iptables' ? gate.program : `nftables ${gate.family} ${gate.table}`;
}

/** The gate in a few words, for people. */
export function formatGate(gate: Gate): string {
  if (gate.kind === 'iptables') return `${gate.program} INPUT`;
  return `nftables ${gate.family} ${gate.table} ${gate.chain}`;
}
