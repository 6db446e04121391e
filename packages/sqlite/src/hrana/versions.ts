// Versions of Hrana, and the subprotocols that stand for them over WebSocket: Hrana 3, "Version and encoding negotiation".

export type HranaVersion = 2 | 3;

/** Newest first. The encoding is JSON in both. */
const subprotocols: readonly (readonly [name: string, version: HranaVersion])[] = [
  ['hrana3', 3],
  ['hrana2', 2],
];

/** The newest subprotocol of those a client offers, or undefined when none is known here. */
export function chooseSubprotocol(offered: ReadonlySet<string>): string | undefined {
  return subprotocols.find(([name]) => offered.has(name))?.[0];
}

/** The version a subprotocol that was chosen stands for. */
export function versionOf(subprotocol: string): HranaVersion | undefined {
  return subprotocols.find(([name]) => name === subprotocol)?.[1];
}
