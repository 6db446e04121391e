import { isIP } from 'node:net';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import type { RequestResult } from '../control/messages.ts';
import { formatHost } from '../endpoint.ts';
import type { CopyEvent } from '../events.ts';
import type { CopyOptions } from '../options.ts';
import type { AgentSession } from './session.ts';

/** A target, as far as its firewall is concerned. */
type Receiver = {
  readonly name: string;
  readonly session: AgentSession;
  readonly listening: { readonly port: number };
};

/** Has targets open their firewalls for their senders, and tells what they did. */
export class FirewallAdmission {
  readonly #mode: CopyOptions['firewall'];
  readonly #emit: (event: CopyEvent) => void;
  /** Whom each target has admitted. A target asked once keeps it up until its agent ends. */
  readonly #admitted = new Map<AgentSession, AgentSession>();

  constructor(mode: CopyOptions['firewall'], emit: (event: CopyEvent) => void) {
    this.#mode = mode;
    this.#emit = emit;
  }

  /** Lets `sender` in at a target, and nobody else. Throws only what a firewall that was named did not do. */
  async admit(sender: AgentSession, { name, session, listening: { port } }: Receiver): Promise<void> {
    const mode = this.#mode;
    if (mode === 'none' || this.#admitted.get(session) === sender) return;
    const addresses = senderAddresses(sender, session);
    let result: RequestResult<'admit'>;
    try {
      if (addresses.length === 0)
        throw new BatonError('NO_PERMISSION', `${formatHost(sender.endpoint)} does not say its addresses`);
      result = await session.request('admit', { addresses, port, mode });
      this.#admitted.set(session, sender);
    } catch (error) {
      if (mode !== 'auto') throw error;
      // A release that knows no firewalls refuses the request; whether the port is open, the probe tells.
      result = { did: 'unable', where: toErrorRecord(error).message };
    }
    this.#emit({ type: 'firewall', target: name, port, addresses, ...result });
  }
}

/** The addresses that a receiver may see a sender come from: the sender's own. What a router makes of them is not known. */
function senderAddresses(sender: AgentSession, receiver: AgentSession): string[] {
  const { addresses = [], reachedAt, bootId } = sender.greeting;
  const own = reachedAt === undefined ? addresses : [...addresses, reachedAt.replace(/^::ffff:(?=[0-9.]+$)/i, '')];
  const loopback = bootId === receiver.greeting.bootId ? ['127.0.0.1', '::1'] : [];
  const usable = [...new Set([...loopback, ...own])].filter((address) => isIP(address) !== 0 && !address.includes('%'));
  return usable.slice(0, limits.senderAddressesMax);
}
