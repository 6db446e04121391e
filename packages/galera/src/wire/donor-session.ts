import { BatonError } from '@batondb/core/errors';
import { makeIdentity } from '@batondb/core/transport/certificate';
import type { Connection } from '@batondb/core/transport/transport';
import { pause } from '../pause.ts';
import type { Certified } from './certified.ts';
import { connectProven, type Dialing, type JoinerPlace } from './handshake.ts';
import { wireLimits } from './limits.ts';
import type { About, Accept, Offer, Transfer, Verified } from './messages.ts';
import { makeInstance, type Shared } from './proof.ts';
import { type Patience, Session, type SessionEvents } from './session.ts';

/** Where a donor connects to, and what it proves. */
export type ConnectOptions = SessionEvents &
  JoinerPlace &
  Shared & {
    /** Default: a certificate of its own, which the joiner pins, and none that an authority vouches for. */
    readonly certified?: Certified | undefined;
    readonly patience?: Partial<Patience>;
  };

/**
 * Connects to the joiner of a ready line. When it resolves, both sides have proven the secret and the key. Tries again while that may help.
 * Throws HOP_UNREACHABLE, CONNECTION_LOST, NOT_TRUSTED, VERSION_MISMATCH, BUSY, what the joiner refused with, or the signal's reason.
 */
export async function connectToJoiner(options: ConnectOptions, signal: AbortSignal): Promise<DonorSession> {
  const session = new DonorSession(options);
  try {
    await session.connect(signal);
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/** The donor's side of a session. */
export class DonorSession extends Session {
  readonly #dialing: Dialing;
  #reconnecting: Promise<void> | undefined;
  #transfers = 0;

  constructor(options: ConnectOptions) {
    super('donor', options, options.patience);
    const { host, port, fingerprint, secret, key, certified } = options;
    this.#dialing = {
      place: { host, port, fingerprint },
      shared: { secret, key },
      identity: certified?.identity ?? makeIdentity(),
      certified,
      instance: certified === undefined ? undefined : makeInstance(),
    };
  }

  get ids(): { readonly secret: string; readonly donor: string; readonly joiner: string } {
    const { place, shared, identity } = this.#dialing;
    return { secret: shared.secret, donor: identity.fingerprint, joiner: place.fingerprint };
  }

  /** Opens the control connection; to be called once. */
  async connect(signal: AbortSignal): Promise<void> {
    await this.#open(AbortSignal.any([signal, this.signal]));
  }

  /** Offers what there is, and returns what the joiner says to it. Throws what it refuses with. */
  async offer(offer: Omit<Offer, 'type'>, signal: AbortSignal): Promise<Accept> {
    this.say({ type: 'offer', ...offer });
    return await this.next(['accept'], signal);
  }

  /** Announces a stream or a tree. Returns its number. */
  announce(transfer: Omit<Transfer, 'type' | 'transfer'>): number {
    if (this.#transfers >= wireLimits.transfersMax) {
      throw new BatonError(
        'LIMIT',
        `${wireLimits.transfersMax} transfers were announced in this session, which is the limit`,
      );
    }
    this.#transfers += 1;
    this.say({ type: 'transfer', transfer: this.#transfers, ...transfer });
    return this.#transfers;
  }

  /** Opens a proven connection for the data of a transfer. */
  async connectData(transfer: number, signal: AbortSignal): Promise<Connection> {
    const { connection } = await connectProven(this.#dialing, { purpose: 'data', transfer, received: 0 }, signal);
    return connection;
  }

  /** A data connection broke, and is opened again. */
  tellBreak(error: Error): void {
    this.note(`a data connection with the joiner broke and is opened again: ${error.message}`);
  }

  /** Says where the donor stood, and waits until the joiner has all of it, whole and synced. */
  async finish(position: string, about: About, signal: AbortSignal): Promise<Verified> {
    this.say({ type: 'finish', position, about });
    const verified = await this.next(['verified'], signal);
    this.conclude();
    return verified;
  }

  protected override get mayComeBack(): boolean {
    return false;
  }

  protected override onLost(): void {
    this.#reconnecting ??= this.#open(this.signal)
      .then(() => this.note('the donor has reached the joiner again'))
      .catch((error: unknown) => this.end(error))
      .finally(() => {
        this.#reconnecting = undefined;
        // It broke again while this was being said.
        if (!this.control.isAttached && !this.signal.aborted) this.onLost();
      });
  }

  protected override async released(): Promise<void> {
    await this.#reconnecting;
  }

  async #open(signal: AbortSignal): Promise<void> {
    const beganMs = performance.now();
    let refusedSinceMs: number | undefined;
    for (let delayMs: number = wireLimits.retryMsMin; ; delayMs = Math.min(delayMs * 2, wireLimits.retryMsMax)) {
      try {
        const { received } = this.control;
        const purpose = { purpose: 'control', transfer: 0, received } as const;
        const { connection, proof } = await connectProven(this.#dialing, purpose, signal);
        this.control.attach(connection, proof.received);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BatonError) || !mayPass(error)) throw error;
        const now = performance.now();
        refusedSinceMs = isRefusal(error) ? (refusedSinceMs ?? now) : undefined;
        const isGone = refusedSinceMs !== undefined && now - refusedSinceMs >= this.patience.refusedMsMax;
        if (isGone || now - beganMs >= this.patience.absenceMsMax) throw unreachable(error, now - beganMs);
        await pause(delayMs, signal);
      }
    }
  }
}

/** Whether another attempt may end better. */
function mayPass({ code }: BatonError): boolean {
  return code === 'HOP_UNREACHABLE' || code === 'CONNECTION_LOST' || code === 'TIMED_OUT';
}

/** Nobody listens at the port, as the joiner's host says itself. */
function isRefusal({ cause }: BatonError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}

function unreachable(error: BatonError, ms: number): BatonError {
  return new BatonError(error.code, `${error.message}; tried for ${Math.round(ms / 1000)} s`, {
    hint: "look at the joiner's error log, and whether its port is open in the firewall between the two",
    cause: error,
  });
}
