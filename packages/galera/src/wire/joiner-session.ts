import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import type { Receiver } from '@batondb/core/transfer/receiver';
import { type Identity, makeIdentity } from '@batondb/core/transport/certificate';
import { listenForProof, type ProofListener, type TakeConnection } from '@batondb/core/transport/proof-listener';
import type { PortRange } from '@batondb/core/transport/tls';
import type { Connection } from '@batondb/core/transport/transport';
import type { Certified } from './certified.ts';
import { admitDonor, type DonorId } from './handshake.ts';
import { wireLimits } from './limits.ts';
import type { About, Finish, Offer, Transfer } from './messages.ts';
import { makeSecret, type Shared } from './proof.ts';
import { type Patience, Session, type SessionEvents } from './session.ts';

/** Serves the data connections of one transfer. */
export type DataServer = Pick<Receiver, 'serve'>;

/** How a joiner listens. */
export type ListenOptions = SessionEvents & {
  /** The address to listen on. Default: all of them. */
  readonly host?: string | undefined;
  readonly ports: PortRange;
  /** What every node of the cluster has; undefined: the session secret alone counts. */
  readonly key: Uint8Array | undefined;
  /** Default: a certificate of its own, and any that the donor proves itself with. */
  readonly certified?: Certified | undefined;
  readonly patience?: Partial<Patience>;
};

/**
 * Listens for the donor of one transfer, and for nobody else: whoever connects has to prove the secret of this session and the key, and
 * who did so first is the donor until the end. Throws PORT_TAKEN, NO_PERMISSION or SYSTEM.
 */
export async function listenForDonor(options: ListenOptions, signal: AbortSignal): Promise<JoinerSession> {
  signal.throwIfAborted();
  const session = new JoinerSession(options);
  await session.open();
  return session;
}

/** The joiner's side of a session. */
export class JoinerSession extends Session {
  readonly #options: ListenOptions;
  readonly #identity: Identity;
  readonly #shared: Shared;
  readonly #receivers = new Map<number, DataServer>();
  /** Data that came before anybody asked for it. */
  #early: { readonly connection: Connection; readonly transfer: number }[] = [];
  readonly #serving = new Set<Promise<void>>();
  #listener: ProofListener | undefined;
  #donor: DonorId | undefined;
  #absence: NodeJS.Timeout | undefined;
  #transfers = 0;

  constructor(options: ListenOptions) {
    super('joiner', options, options.patience);
    this.#options = options;
    this.#identity = options.certified?.identity ?? makeIdentity();
    this.#shared = { secret: makeSecret(), key: options.key };
    this.signal.addEventListener('abort', () => clearTimeout(this.#absence), { once: true });
  }

  async open(): Promise<void> {
    const { host, ports, certified } = this.#options;
    this.#listener = await listenForProof({
      ...(host === undefined ? {} : { host }),
      ports,
      identity: this.#identity,
      authority: certified?.authority,
      onRefused: (error) => this.note(error.message),
      prove: async (peer, signal): Promise<TakeConnection> => {
        const admission = {
          shared: this.#shared,
          certified,
          donor: () => this.#donor,
          onProven: (donor: DonorId) => void (this.#donor = donor),
          received: () => this.control.received,
        };
        const hello = await admitDonor(peer, admission, signal);
        if (hello.purpose === 'control') return (connection) => this.#attach(connection, hello.received, peer.name);
        return (connection) => this.#takeData(connection, hello.transfer);
      },
    });
  }

  /** The port that the donor is to connect to. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** For the ready line: 64 hexadecimal digits each. */
  get secret(): string {
    return this.#shared.secret;
  }

  get fingerprint(): string {
    return this.#identity.fingerprint;
  }

  /** A donor has proven itself. */
  get hasDonor(): boolean {
    return this.#donor !== undefined;
  }

  get ids(): { readonly secret: string; readonly donor: string; readonly joiner: string } {
    return { secret: this.#shared.secret, donor: this.#donor?.fingerprint ?? '', joiner: this.#identity.fingerprint };
  }

  /** What the donor offers. Waits for the donor for as long as `signal` lets it. */
  async offer(signal: AbortSignal): Promise<Offer> {
    return await this.next(['offer'], signal);
  }

  /** Takes the offer: the donor may begin. */
  accept(about: About = {}): void {
    this.say({ type: 'accept', about });
  }

  /** The next stream or tree is announced. Throws PROTOCOL when it is of the other kind. */
  async nextTransfer(kind: Transfer['kind'], signal: AbortSignal): Promise<Transfer> {
    const transfer = await this.next(['transfer'], signal);
    this.#transfers += 1;
    if (transfer.kind === kind && transfer.transfer === this.#transfers) return transfer;
    const error = new BatonError(
      'PROTOCOL',
      `the donor announced ${transfer.kind} ${transfer.transfer}, and ${kind} ${this.#transfers} was due`,
    );
    this.fail(error);
    throw error;
  }

  /** Has the connections of a transfer served until the session ends, those to come and those that are here already. */
  serve(transfer: number, receiver: DataServer): void {
    this.#receivers.set(transfer, receiver);
    const early = this.#early;
    this.#early = [];
    for (const { connection, transfer: wanted } of early) this.#takeData(connection, wanted);
  }

  /** Where the donor stood when it had sent all. */
  async finish(signal: AbortSignal): Promise<Finish> {
    return await this.next(['finish'], signal);
  }

  /** Tells the donor that all of it is here, whole and synced; its part is over. */
  async verified(about: About = {}): Promise<void> {
    this.say({ type: 'verified', about });
    this.conclude();
    clearTimeout(this.#absence);
    await this.control.flushed(wireLimits.farewellMsMax);
  }

  protected override get mayComeBack(): boolean {
    return this.hasDonor;
  }

  protected override onLost(error: Error): void {
    const ms = this.patience.absenceMsMax;
    clearTimeout(this.#absence);
    this.#absence = setTimeout(() => {
      this.peerIsGone();
      this.end(
        new BatonError('CONNECTION_LOST', `the donor has not come back for ${ms / 1000} s: ${error.message}`, {
          hint: "look at the donor's error log, and at the network between the two",
        }),
      );
    }, ms);
  }

  protected override async released(): Promise<void> {
    clearTimeout(this.#absence);
    for (const { connection } of this.#early) connection.destroy();
    await this.#listener?.[Symbol.asyncDispose]();
    await Promise.allSettled(this.#serving);
  }

  #attach(connection: Connection, donorReceived: number, name: string): void {
    clearTimeout(this.#absence);
    this.note(`the donor at ${name} has proven itself`);
    this.control.attach(connection, donorReceived);
  }

  #takeData(connection: Connection, transfer: number): void {
    const receiver = this.#receivers.get(transfer);
    if (receiver !== undefined) {
      const served = receiver.serve(connection, this.signal).finally(() => this.#serving.delete(served));
      this.#serving.add(served);
      return;
    }
    if (this.signal.aborted || this.#early.length >= limits.streamsMax) connection.destroy();
    else this.#early.push({ connection, transfer });
  }
}
