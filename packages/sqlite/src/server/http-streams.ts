import { randomBytes, timingSafeEqual } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Occupancy } from '@batondb/service/occupancy';
import { Refusal } from '@batondb/service/refusal';
import type { Grant } from '@batondb/service/tokens/gate';
import { allows } from '@batondb/service/tokens/token';
import type { Databases } from '../databases.ts';
import { StoredSql } from '../hrana/stored-sql.ts';
import type { ServerSettings } from './settings.ts';
import { ClientStream } from './stream.ts';

// Streams over HTTP, where no connection holds them: a client names its stream by the baton of the last answer. A baton is good for one
// request, from the client that it was given to (H1, H2).

/** A stream with the texts that are stored in it. */
export type HttpStream = {
  readonly stream: ClientStream;
  readonly storedSql: StoredSql;
  readonly database: string;
  readonly grant: Grant;
};

type Kept = {
  readonly held: HttpStream;
  readonly secret: Buffer;
  readonly idleTimer: NodeJS.Timeout;
  /** The end of the request that the baton was given in, which for a cursor comes after the baton. */
  readonly isFree: Promise<void>;
};

const secretBytes = 32;
/** Time for a cursor that its client has left to notice. */
const freeMsMax = 5000;

export class HttpStreams {
  readonly #databases: Databases;
  readonly #settings: ServerSettings;
  readonly #occupancy: Occupancy;
  readonly #onFault: (error: unknown) => void;
  readonly #kept = new Map<string, Kept>();
  readonly #open = new Set<HttpStream>();
  #isStopping = false;

  constructor(databases: Databases, settings: ServerSettings, occupancy: Occupancy, onFault: (error: unknown) => void) {
    this.#onFault = onFault;
    this.#databases = databases;
    this.#settings = settings;
    this.#occupancy = occupancy;
  }

  get count(): number {
    return this.#open.size;
  }

  /** The stream that a baton names, or a new one without a baton. Throws STREAM_EXPIRED, and UNAVAILABLE when there are too many. */
  async take(baton: string | undefined, database: string, grant: Grant): Promise<HttpStream> {
    if (baton !== undefined) return this.#redeem(baton, database, grant);
    if (this.#isStopping) throw new Refusal('UNAVAILABLE', 'the server is stopping');
    const { streamsMax, resultBytesMax } = this.#settings;
    if (this.#open.size >= streamsMax)
      throw new Refusal('UNAVAILABLE', `${this.#open.size} streams are open, and more are not allowed`);
    const isReadOnly = !allows(grant.rights, 'write');
    const stream = new ClientStream(this.#databases, { database, isReadOnly, resultBytesMax }, this.#settings);
    const held: HttpStream = { stream, storedSql: new StoredSql(), database, grant };
    this.#open.add(held);
    this.#occupancy.enter();
    return held;
  }

  /** Keeps a stream until its client's next request, and returns the baton for that; undefined when the stream has ended. */
  async keep(held: HttpStream, isFree: Promise<void> = Promise.resolve()): Promise<string | undefined> {
    if (held.stream.isEnded || (this.#isStopping && !held.stream.isInTransaction)) {
      await this.end(held);
      return undefined;
    }
    const id = randomBytes(16).toString('base64url');
    const secret = randomBytes(secretBytes);
    const { streamIdleMsMax } = this.#settings;
    const expire = (): void => {
      this.#expire(id, kept).catch(this.#onFault);
    };
    const kept: Kept = { held, secret, idleTimer: setTimeout(expire, streamIdleMsMax), isFree };
    this.#kept.set(id, kept);
    return `${id}.${secret.toString('base64url')}`;
  }

  /** Closes a stream; its baton, if one was given, is worthless. */
  async end(held: HttpStream, reason?: Error): Promise<void> {
    for (const [id, kept] of this.#kept) if (kept.held === held) this.#forget(id, kept);
    try {
      await held.stream.close(reason);
    } finally {
      if (this.#open.delete(held)) this.#occupancy.leave();
    }
  }

  /** No new stream from now on; those in a transaction may bring it to its end, and cursors that are read, too. */
  stop(): void {
    this.#isStopping = true;
    for (const [id, kept] of this.#kept) this.#endUnlessUsed(id, kept).catch(this.#onFault);
  }

  async endAll(): Promise<void> {
    const reason = new Refusal('STREAM_EXPIRED', 'the stream has ended: the server stopped');
    await Promise.all([...this.#open].map((held) => this.end(held, reason)));
  }

  async #redeem(baton: string, database: string, grant: Grant): Promise<HttpStream> {
    const [id = '', secret = ''] = baton.split('.', 2);
    const kept = this.#kept.get(id);
    const isRight =
      kept !== undefined &&
      isSame(kept.secret, Buffer.from(secret, 'base64url')) &&
      kept.held.database === database &&
      kept.held.grant.tokenId === grant.tokenId;
    if (!isRight)
      throw new Refusal(
        'STREAM_EXPIRED',
        'no stream waits for this baton: it was used already or the stream has ended',
      );
    this.#forget(id, kept);
    const isFree = kept.isFree.then(() => true);
    if (await Promise.race([isFree, delay(freeMsMax, false, { ref: false })])) return kept.held;
    const reason = new Refusal('STREAM_EXPIRED', 'the stream has ended: its cursor was still being read');
    await this.end(kept.held, reason);
    throw reason;
  }

  async #expire(id: string, kept: Kept): Promise<void> {
    // A cursor that is still being read has limits of its own.
    await kept.isFree;
    if (this.#kept.get(id) !== kept) return;
    await this.end(kept.held, new Refusal('STREAM_EXPIRED', 'the stream has ended: it was idle for too long'));
  }

  async #endUnlessUsed(id: string, kept: Kept): Promise<void> {
    await kept.isFree;
    if (this.#kept.get(id) === kept && !kept.held.stream.isInTransaction) await this.end(kept.held);
  }

  #forget(id: string, kept: Kept): void {
    clearTimeout(kept.idleTimer);
    this.#kept.delete(id);
  }
}

function isSame(secret: Buffer, given: Buffer): boolean {
  return given.byteLength === secret.byteLength && timingSafeEqual(secret, given);
}
