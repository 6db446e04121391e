import { BatonError, toErrorRecord } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Frame, frameTypes } from '../protocol/frame.ts';
import { checkHello, type HelloExpectation } from '../protocol/handshake.ts';
import { decodeHello, encodeHelloAck, type Hello } from '../protocol/hello.ts';
import { digestSections } from '../protocol/manifest.ts';
import {
  decodeManifestEnd,
  decodeStreamEnd,
  encodeComplete,
  encodeError,
  encodeHave,
  haveUnitsMax,
} from '../protocol/messages.ts';
import type { Connection } from '../transport/transport.ts';
import { Link } from './link.ts';
import { Permits } from './permits.ts';
import type { StagedTree } from './staged-tree.ts';

/** Whom a receiver admits, before a connection has shown who is there. */
export type Expectation = Omit<HelloExpectation, 'peerFingerprint' | 'binding'>;

/** Where units go. `write` verifies one; who takes no more lets it wait, and the sender with it. */
export type UnitSink = Pick<StagedTree, 'have' | 'full' | 'end' | 'write'>;

/** What a receiver is told by the coordinator, and what it calls. */
export type ReceiverOptions<T extends UnitSink = StagedTree> = {
  /** Whom to expect now: changes when the coordinator gives us another sender. */
  readonly expectation: () => Expectation;
  /** The digest of the only manifest this job accepts. */
  readonly manifestDigest: Uint8Array;
  readonly manifestBytesMax: number;
  /** Makes the tree of a manifest ready to be received into: called once. */
  readonly prepare: (sections: readonly Uint8Array[]) => Promise<T>;
  /** There may be an older copy in the place of the tree: claims what is not the same (claimUnits). Default: nothing is claimed. */
  readonly claim?: ((tree: T, link: Link, signal: AbortSignal) => Promise<void>) | undefined;
  /** The tree digest, once every unit is there. */
  readonly complete: (tree: T) => Promise<Uint8Array>;
  /** Told of what ends this receiver for good: a full disk, a broken invariant. */
  readonly onFailure: (error: Error) => void;
  /** Units that may be in the hands of the workers at the same time. */
  readonly writesMax: number;
};

type Session = { readonly link: Link; readonly epoch: number };

/** The receiving end of a hop: admits the sender the coordinator named, and nobody else, and writes what it sends. */
export class Receiver<T extends UnitSink = StagedTree> {
  readonly #options: ReceiverOptions<T>;
  readonly #permits: Permits;
  readonly #sessions = new Set<Session>();
  #tree: Promise<T> | undefined;
  #treeKnown: ((tree: Promise<T>) => void) | undefined;
  readonly #treeLater: Promise<T>;
  /** Bytes received over all connections, ended ones included. */
  #endedBytes = 0;
  #closed: Error | undefined;

  constructor(options: ReceiverOptions<T>) {
    this.#options = options;
    this.#permits = new Permits(options.writesMax);
    this.#treeLater = new Promise((resolve) => {
      this.#treeKnown = resolve;
    });
    // Whoever waits for it hears of a failure; onFailure does in any case.
    this.#treeLater.catch(() => undefined);
  }

  get wireBytes(): number {
    let bytes = this.#endedBytes;
    for (const { link } of this.#sessions) bytes += link.connection.bytesReceived;
    return bytes;
  }

  /** Resolves with the tree once its manifest is here and what an earlier run left has been checked. */
  get tree(): Promise<T> {
    return this.#treeLater;
  }

  /** Refuses everybody from now on, with the reason, and ends what is open. */
  close(reason: Error): void {
    this.#closed = reason;
    this.dropOlderThan(Number.POSITIVE_INFINITY);
  }

  /** After close(): resolves when nothing of what came is being prepared or written any more. */
  async settled(): Promise<void> {
    await this.#tree?.catch(() => undefined);
    const { writesMax } = this.#options;
    for (let taken = 0; taken < writesMax; taken++) await this.#permits.take();
    for (let given = 0; given < writesMax; given++) this.#permits.give();
  }

  /** Ends the connections of senders that are no longer ours. */
  dropOlderThan(epoch: number): void {
    for (const { link, epoch: theirs } of this.#sessions) if (theirs < epoch) link.connection.destroy();
  }

  /** Serves one connection until it ends. Never rejects: what went wrong is told to the peer, and to onFailure if it is ours. */
  async serve(connection: Connection, signal: AbortSignal): Promise<void> {
    await using link = new Link(connection);
    let session: Session | undefined;
    const ended = new AbortController();
    try {
      const hello = await admit(link, this.#options.expectation());
      if (hello.purpose === 'probe') return await acknowledgeProbe(link, hello);
      if (this.#closed !== undefined) throw this.#closed;
      if (this.#sessions.size >= limits.sessionsMax) throw tooMany();
      session = { link, epoch: hello.epoch };
      this.#sessions.add(session);
      const either = AbortSignal.any([signal, ended.signal]);
      await Promise.race([this.#receive(link, hello, either), link.keepAlive(either)]);
    } catch (error) {
      await refuse(link, error);
    } finally {
      ended.abort();
      if (session !== undefined) {
        this.#sessions.delete(session);
        this.#endedBytes += connection.bytesReceived;
      }
    }
  }

  async #receive(link: Link, hello: Hello, signal: AbortSignal): Promise<void> {
    const manifestWanted = this.#tree === undefined;
    const { claim } = this.#options;
    await link.write(
      frameTypes.helloAck,
      encodeHelloAck({ version: hello.version, manifestWanted, claims: claim !== undefined }),
    );
    if (hello.stream > 0) return await this.#receiveUnits(link, await this.#treeLater);
    const sections = await this.#receiveManifest(link);
    const tree = await this.#prepared(sections);
    await sendHave(link, tree);
    const units = this.#receiveUnits(link, tree);
    // Once all is claimed, units are what is waited for.
    const claimed = claim === undefined ? units : claim(tree, link, signal).then(() => units);
    await Promise.race([units, claimed, this.#sayComplete(link, tree)]);
    // The sender closes when it has read COMPLETE. Closing first, with its pings unread, could take that from it again.
    await units.catch(() => undefined);
  }

  async #receiveManifest(link: Link): Promise<readonly Uint8Array[]> {
    const sections: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const frame = await link.read();
      if (frame.type === frameTypes.manifestEnd) {
        const { digest } = decodeManifestEnd(frame.payload);
        // Only the first sender's sections are used. They are looked at here, so that a bad sender ends its connection
        // and not the copy.
        const offered = this.#tree === undefined ? digestSections(sections) : digest;
        if ([digest, offered].some((one) => Buffer.compare(one, this.#options.manifestDigest) !== 0)) {
          throw new BatonError('NOT_TRUSTED', 'the sender offers another manifest than the coordinator named');
        }
        return sections;
      }
      if (frame.type === frameTypes.ping) continue;
      if (frame.type !== frameTypes.manifestSection) throw unexpected(frame, 'MANIFEST_SECTION');
      bytes += frame.payload.byteLength;
      if (bytes > this.#options.manifestBytesMax) {
        throw new BatonError(
          'LIMIT',
          `the manifest is longer than the ${this.#options.manifestBytesMax} bytes announced`,
        );
      }
      sections.push(frame.payload);
    }
  }

  #prepared(sections: readonly Uint8Array[]): Promise<T> {
    if (this.#tree === undefined) {
      this.#tree = this.#options.prepare(sections);
      this.#tree.catch((error: Error) => this.#options.onFailure(error));
      this.#treeKnown?.(this.#tree);
    }
    return this.#tree;
  }

  /** Only ever rejects: a sender does not say that it has sent all. */
  async #receiveUnits(link: Link, tree: T): Promise<never> {
    let failure: Error | undefined;
    for (;;) {
      // A damaged unit breaks the connection and is asked for again. That waits for a frame, which a ping is too.
      const frame = await link.read();
      if (failure !== undefined) throw failure;
      if (frame.type === frameTypes.ping) continue;
      if (frame.type === frameTypes.streamEnd) {
        tree.end(decodeStreamEnd(frame.payload).units);
        continue;
      }
      if (frame.type !== frameTypes.unit) throw unexpected(frame, 'UNIT');
      await this.#permits.take();
      if (this.#closed !== undefined) {
        this.#permits.give();
        throw this.#closed;
      }
      tree
        .write(frame.payload)
        .catch((error: Error) => {
          failure ??= error;
          // A disk that fails is the end.
          if (!isDamage(error)) this.#options.onFailure(error);
        })
        .finally(() => this.#permits.give());
    }
  }

  async #sayComplete(link: Link, tree: T): Promise<void> {
    await tree.full;
    const treeDigest = await this.#options.complete(tree);
    await link.write(frameTypes.complete, encodeComplete({ treeDigest }));
    await link.connection.end();
  }
}

function tooMany(): BatonError {
  return new BatonError('LIMIT', `there are ${limits.sessionsMax} connections already, which is the limit`, {
    retryable: true,
  });
}

/** Answers a connection that may only be a probe: for a host that is not receiving yet. Never rejects. */
export async function answerProbe(connection: Connection, expectation: Expectation): Promise<void> {
  await using link = new Link(connection);
  try {
    const hello = await admit(link, expectation);
    if (hello.purpose !== 'probe')
      throw new BatonError('PROTOCOL', 'data was offered before it was asked for', { retryable: true });
    await acknowledgeProbe(link, hello);
  } catch (error) {
    await refuse(link, error);
  }
}

async function acknowledgeProbe(link: Link, { version }: Hello): Promise<void> {
  await link.write(frameTypes.helloAck, encodeHelloAck({ version, manifestWanted: false, claims: false }));
  await link.connection.end();
}

/** Reads the first frame and refuses everybody but the sender the coordinator named. */
async function admit(link: Link, expectation: Expectation): Promise<Hello> {
  const late = setTimeout(
    () => link.connection.destroy(new BatonError('PROTOCOL', 'the first frame did not come in time')),
    limits.handshakeMsMax,
  );
  try {
    const frame = await link.read();
    if (frame.type !== frameTypes.hello) throw unexpected(frame, 'HELLO');
    const hello = decodeHello(frame.payload);
    const { peerFingerprint, binding } = link.connection;
    // A probe is no part of a route.
    const epoch = hello.purpose === 'probe' ? hello.epoch : expectation.epoch;
    const verdict = checkHello(hello, { ...expectation, epoch, peerFingerprint, binding });
    if (!verdict.accepted) throw verdict.error;
    if (hello.purpose === 'data' && hello.epoch === 0) throw new BatonError('PROTOCOL', 'hello: epoch 0 is no route');
    return hello;
  } finally {
    clearTimeout(late);
  }
}

async function sendHave(link: Link, tree: UnitSink): Promise<void> {
  for (let firstUnit = 0; firstUnit < tree.have.reach; firstUnit += haveUnitsMax) {
    const part = tree.have.slice(firstUnit, haveUnitsMax);
    if (part.digests.byteLength > 0) await link.write(frameTypes.have, encodeHave({ firstUnit, ...part }));
  }
  await link.write(frameTypes.haveEnd);
}

/** What arrived is not what a receiver may take, and another sending, or another sender, may help. */
function isDamage(error: Error): boolean {
  return error instanceof BatonError && ['DIGEST_MISMATCH', 'PROTOCOL', 'LIMIT'].includes(error.code);
}

/** Tells the peer why, if it still listens. Disposing the link then gives it the time to read that. */
async function refuse(link: Link, error: unknown): Promise<void> {
  const { code, message, retryable } = toErrorRecord(error);
  try {
    await link.write(frameTypes.error, encodeError({ code, message, retryable }));
    await link.connection.end();
  } catch {
    // The peer is gone already, which is the usual reason to be here.
    link.connection.destroy();
  }
}

function unexpected(frame: Frame, wanted: string): BatonError {
  return new BatonError('PROTOCOL', `a frame of type ${frame.type} arrived where ${wanted} was due`);
}
