import type { CopyOptions } from '../options.ts';
import { candidateAddresses } from './addresses.ts';
import type { Ready } from './preflight.ts';
import { type Routing, source } from './routing.ts';
import type { AgentSession } from './session.ts';
import type { TargetState } from './target-state.ts';

/** The default of --streams: as many as the source has cores, and no more than this. */
const streamsMax = 4;

/** Tells the hosts what the routing says: whom to feed, and whom to let feed them. */
export class Orders {
  readonly #ready: Ready;
  readonly #options: CopyOptions;
  readonly #routing: Routing;
  readonly #states: ReadonlyMap<number, TargetState>;
  #hasBegun = false;

  constructor(ready: Ready, options: CopyOptions, routing: Routing, states: ReadonlyMap<number, TargetState>) {
    this.#ready = ready;
    this.#options = options;
    this.#routing = routing;
    this.#states = states;
  }

  /** All targets were asked to receive: before that, the source sends nothing. */
  begin(): void {
    this.#hasBegun = true;
    this.tellSender(source);
  }

  /** Tells a target whom to admit as its sender. Rejects when its conversation ends. */
  async tellReceiver({ target }: TargetState): Promise<void> {
    const { number, session } = target;
    // Its firewall knows the sender before the sender comes. What could not be opened shows as a hop that fails.
    await this.#ready.admission.admit(this.#sender(number), target).catch(() => undefined);
    await session.request('expect', { epoch: this.#routing.epoch(number) });
  }

  /** Tells a member which targets it feeds now. */
  tellSender(member: number): void {
    const state = this.#states.get(member);
    if (state?.result?.state === 'failed' || (member === source && !this.#hasBegun)) return;
    const sender = state?.target.session ?? this.#ready.source;
    const { streams, compress, bandwidthBytesPerSecond } = this.#options;
    const hops = this.#routing.fedBy(member).map((hop) => ({ ...hop, ...this.#reach(sender, hop.to) }));
    const request = {
      hops,
      streams: streams === 0 ? Math.min(this.#ready.source.greeting.cores, streamsMax) : streams,
      compression: compress,
      ...(bandwidthBytesPerSecond === undefined ? {} : { bytesPerSecond: bandwidthBytesPerSecond }),
    };
    // A sender that is gone is noticed by the end of its conversation.
    sender.request('send', request).catch(() => undefined);
  }

  /** A target's sender has changed: tells the target, its new sender, and whoever fed it before. */
  announce(state: TargetState): void {
    const upstream = this.#routing.upstream(state.target.number);
    this.tellReceiver(state).then(
      () => this.tellSender(upstream),
      // The end of its conversation is handled where it ends.
      () => undefined,
    );
    for (const member of [source, ...this.#states.keys()]) if (member !== upstream) this.tellSender(member);
  }

  #sender(target: number): AgentSession {
    return this.#states.get(this.#routing.upstream(target))?.target.session ?? this.#ready.source;
  }

  #reach(from: AgentSession, to: number): { addresses: string[]; port: number } {
    const state = this.#states.get(to);
    if (state === undefined) throw new Error(`R1: there is no target ${to}`);
    const { session, listening } = state.target;
    const candidates = candidateAddresses(from, session, listening, this.#options.bind);
    const reached = this.#ready.reached.get(to);
    const addresses = reached === undefined ? candidates : [...new Set([reached, ...candidates])];
    return { addresses, port: listening.port };
  }
}
