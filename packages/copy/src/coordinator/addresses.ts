import type { AgentSession } from './session.ts';

/** Where a target listens, as it says itself. */
export type Listening = { readonly port: number; readonly addresses: readonly string[] };

/**
 * Addresses at which `from` may reach the data port of `to`, the likeliest first. A wrong one does no harm: whoever
 * answers there has to prove the certificate of `to`.
 */
export function candidateAddresses(
  from: AgentSession,
  to: AgentSession,
  listening: Listening,
  bind: string | undefined,
): string[] {
  if (bind !== undefined) return [...listening.addresses];
  const candidates: (string | undefined)[] = [];
  const isOneMachine = from.greeting.bootId === to.greeting.bootId;
  const areBothLocal = from.endpoint.host === undefined && to.endpoint.host === undefined;
  if (areBothLocal) candidates.push('127.0.0.1', '::1');
  candidates.push(to.greeting.reachedAt);
  // The coordinator's own machine is known to a remote sender as the one that its login came from.
  if (to.endpoint.host === undefined) candidates.push(from.greeting.reachedFrom);
  candidates.push(to.endpoint.host, ...listening.addresses);
  if (isOneMachine && !areBothLocal) candidates.push('127.0.0.1');
  return [...new Set(candidates.filter((address) => address !== undefined))];
}
