import { isIPv6 } from 'node:net';
import { type Admission, admittedSeconds, type FirewallId, type IptablesGate } from './gate.ts';

// iptables: what `-S INPUT` says, and the input of iptables-restore. Pure.

/** Seconds that the programs wait for each other's lock. */
export const lockSeconds = 5;

/** Targets that let a packet go on to the next rule, or in. Anything else counts as filtering. */
const harmless: ReadonlySet<string> = new Set(['ACCEPT', 'LOG', 'NFLOG']);
const ownComment = /^-A INPUT .*--comment "?baton:([0-9a-f]{16}):([0-9]{1,12})"? /;

/** Whether the chain may turn something away. */
export function filtersInput(listing: string): boolean {
  return listing.split('\n').some((line) => {
    if (line.startsWith('-P INPUT ')) return line !== '-P INPUT ACCEPT';
    if (!line.startsWith('-A INPUT')) return false;
    const target = / -[jg] (\S+)/.exec(line)?.[1];
    return target !== undefined && !harmless.has(target);
  });
}

/** The ids of rules of ours that were last renewed so long ago that nobody can be renewing them. */
export function staleIds(listing: string, nowMs: number): FirewallId[] {
  const latest = new Map<FirewallId, number>();
  for (const line of listing.split('\n')) {
    const [, id, expiry] = ownComment.exec(line) ?? [];
    if (id !== undefined) latest.set(id, Math.max(latest.get(id) ?? 0, Number(expiry)));
  }
  return [...latest].filter(([, expiry]) => expiry * 1000 < nowMs).map(([id]) => id);
}

/**
 * The rules that let these addresses in, as iptables-restore takes them after -I and -D. With `isTimed`, the kernel itself
 * ends them.
 */
export function ruleSpecs(
  { family }: IptablesGate,
  id: FirewallId,
  { addresses, port }: Admission,
  { nowMs, isTimed }: { readonly nowMs: number; readonly isTimed: boolean },
): string[] {
  const expiry = Math.ceil(nowMs / 1000) + admittedSeconds;
  const time = isTimed ? ` -m time --datestop ${new Date(expiry * 1000).toISOString().slice(0, 19)}` : '';
  const fitting = addresses.filter((address) => isIPv6(address) === (family === 'ip6'));
  return fitting.map(
    (address) =>
      `INPUT -s ${address} -p tcp -m tcp --dport ${port} -m comment --comment baton:${id}:${expiry}${time} -j ACCEPT`,
  );
}

/** The input of iptables-restore --noflush that puts `added` at the head and takes `removed` away, both or neither. */
export function replaceCommands(added: readonly string[], removed: readonly string[]): string {
  const lines = [...added.map((spec) => `-I ${spec}`), ...removed.map((spec) => `-D ${spec}`)];
  return `*filter\n${lines.join('\n')}\nCOMMIT\n`;
}

/** Lines of sh that remove our rules, each by its whole specification as it is listed. */
export function iptablesRemoval({ program }: IptablesGate, id: FirewallId): string[] {
  const edit = `/ --comment "\\{0,1\\}baton:${id}:[0-9][0-9]*"\\{0,1\\} /s/^-A INPUT /-D INPUT /p`;
  return [
    'for attempt in 1 2 3 4 5; do',
    `all=$(${program} -w ${lockSeconds} -S INPUT) || { sleep 1; continue; }`,
    `rules=$(printf '%s\\n' "$all" | sed -n '${edit}')`,
    '[ -n "$rules" ] || break',
    `printf '%s\\n' '*filter' "$rules" COMMIT | ${restoreProgram(program)} -w ${lockSeconds} --noflush || sleep 1`,
    'done',
  ];
}

/** `iptables-legacy` has `iptables-legacy-restore`. */
export function restoreProgram(program: string): string {
  return `${program}-restore`;
}
