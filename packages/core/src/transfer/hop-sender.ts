import { BatonError, type ErrorCode, fromErrorRecord } from '../errors.ts';
import { decodeClaim } from '../protocol/claim.ts';
import { frameTypes } from '../protocol/frame.ts';
import { decodeHelloAck, encodeHello, type Hello, type HelloAck } from '../protocol/hello.ts';
import {
  decodeComplete,
  decodeError,
  decodeHave,
  encodeManifestEnd,
  encodeStreamEnd,
  type Have,
} from '../protocol/messages.ts';
import type { Connection } from '../transport/transport.ts';
import { CompressionChoice } from './compression-choice.ts';
import type { UnitCompression } from './jobs.ts';
import { Link } from './link.ts';
import { Outbox } from './outbox.ts';
import type { RateLimit } from './rate-limit.ts';
import type { UnitSupply } from './supply.ts';

/** How one hop is fed. */
export type HopOptions = {
  /** What every connection's first frame says; stream numbers and the binding are filled in. */
  readonly hello: Omit<Hello, 'stream' | 'streams' | 'purpose' | 'binding'>;
  /** Connections of the hop. */
  readonly streams: number;
  readonly compression: UnitCompression;
  readonly rateLimit: RateLimit | undefined;
  /** Units read ahead from disk. */
  readonly readsMax: number;
  /** Opens one authenticated connection to the receiver. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
};

/**
 * Sends one receiver the manifest and every unit it lacks, as far and as soon as `supply` has them; returns the
 * receiver's tree digest once it has all. Throws when a connection breaks or the receiver refuses: what was
 * received counts, so that calling it again goes on where it ended.
 */
export async function sendToHop(supply: UnitSupply, options: HopOptions, signal: AbortSignal): Promise<Uint8Array> {
  await using connections = new AsyncDisposableStack();
  const onAbort = () => void connections.disposeAsync();
  signal.addEventListener('abort', onAbort, { once: true });
  connections.defer(async () => signal.removeEventListener('abort', onAbort));
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const open = async (stream: number) => {
    const link = new Link(await options.connect(either));
    // One stream that fails ends the hop, also while others are still being opened.
    if (connections.disposed) await link[Symbol.asyncDispose]();
    either.throwIfAborted();
    connections.use(link);
    const { manifestWanted, claims } = await greet(link, options, { stream, purpose: 'data' });
    return { link, manifestWanted, claims };
  };
  const first = await open(0);
  const work = [first.link.keepAlive(either)];
  try {
    const complete = feed(supply, options, { first, open, either, work });
    return await Promise.race([complete, failureOf(work)]);
  } finally {
    ended.abort();
    await connections.disposeAsync();
    await Promise.allSettled(work);
  }
}

type Feed = {
  readonly first: { readonly link: Link } & Pick<HelloAck, 'manifestWanted' | 'claims'>;
  readonly open: (stream: number) => Promise<{ readonly link: Link }>;
  readonly either: AbortSignal;
  /** What runs beside; a rejection of any of it ends the hop. */
  readonly work: Promise<never>[];
};

async function feed(supply: UnitSupply, options: HopOptions, { first, open, either, work }: Feed): Promise<Uint8Array> {
  await sendManifest(supply, first.link, first.manifestWanted);
  const choice = new CompressionChoice(options.compression);
  using outbox = new Outbox(supply, choice, { readsMax: options.readsMax, claims: first.claims });
  await receiveHave(supply, outbox, first.link);
  const others = await Promise.all(Array.from({ length: options.streams - 1 }, (_, index) => open(index + 1)));
  for (const { link } of others) work.push(link.keepAlive(either), readUntilRefused(link));
  if (supply.layout.isStream) work.push(announceEnd(supply, first.link, either));
  for (const { link } of [first, ...others])
    work.push(pump({ outbox, choice, rateLimit: options.rateLimit }, link, either));
  return await Promise.race([readUntilComplete(first.link, outbox), failureOf(work)]);
}

/** Connects once, to learn whether the receiver can be reached and trusts us. */
export async function probeHop(options: HopOptions, signal: AbortSignal): Promise<void> {
  await using link = new Link(await options.connect(signal));
  await greet(link, options, { stream: 0, purpose: 'probe' });
  await link.connection.end();
}

async function greet(
  link: Link,
  options: HopOptions,
  opening: { stream: number; purpose: Hello['purpose'] },
): Promise<HelloAck> {
  const hello = { ...options.hello, ...opening, streams: options.streams, binding: link.connection.binding };
  await link.write(frameTypes.hello, encodeHello(hello));
  const frame = await link.read();
  if (frame.type === frameTypes.error) throw refusal(frame.payload);
  if (frame.type !== frameTypes.helloAck) throw unexpected(frame.type, 'HELLO_ACK');
  return decodeHelloAck(frame.payload);
}

async function sendManifest(supply: UnitSupply, link: Link, isWanted: boolean): Promise<void> {
  const { sections, count, digest } = supply.manifest;
  if (isWanted) for (const section of sections) await link.write(frameTypes.manifestSection, section);
  const end = { sections: sections.length, entries: count, units: supply.layout.unitCount, digest };
  await link.write(frameTypes.manifestEnd, encodeManifestEnd(end));
}

async function receiveHave(supply: UnitSupply, outbox: Outbox, link: Link): Promise<void> {
  for (;;) {
    const frame = await link.read();
    if (frame.type === frameTypes.haveEnd) return;
    if (frame.type === frameTypes.ping) continue;
    if (frame.type === frameTypes.error) throw refusal(frame.payload);
    if (frame.type !== frameTypes.have) throw unexpected(frame.type, 'HAVE');
    for (const { unit, digest } of unitsOf(decodeHave(frame.payload), supply.layout.unitCount)) {
      // What a receiver has it has verified: it is not sent again, even if the source reads otherwise by now.
      supply.learn(unit, digest);
      outbox.settle(unit);
    }
  }
}

type Pumped = { readonly outbox: Outbox; readonly choice: CompressionChoice } & Pick<HopOptions, 'rateLimit'>;

async function pump({ outbox, choice, rateLimit }: Pumped, link: Link, signal: AbortSignal): Promise<never> {
  for (;;) {
    const { message } = await outbox.take(signal);
    await rateLimit?.take(message.payload.byteLength, signal);
    await link.write(frameTypes.unit, message.payload);
    choice.sent(message.payload.byteLength);
    message.release();
  }
}

/** Tells the receiver the end of a stream as soon as it is known, whatever is still on its way. Only ever rejects. */
async function announceEnd(supply: UnitSupply, link: Link, signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const units = await Promise.race([supply.ended, aborted]);
  await link.write(frameTypes.streamEnd, encodeStreamEnd({ units }));
  return await aborted;
}

async function readUntilComplete(link: Link, outbox: Outbox): Promise<Uint8Array> {
  for (;;) {
    const frame = await link.read();
    if (frame.type === frameTypes.claim) {
      outbox.claim(decodeClaim(frame.payload));
      continue;
    }
    if (frame.type === frameTypes.complete) return decodeComplete(frame.payload).treeDigest;
    if (frame.type === frameTypes.error) throw refusal(frame.payload);
    if (frame.type !== frameTypes.ping) throw unexpected(frame.type, 'COMPLETE');
  }
}

/** Nothing but pings comes on the streams after the first, until the receiver refuses. */
async function readUntilRefused(link: Link): Promise<never> {
  for (;;) {
    const frame = await link.read();
    if (frame.type === frameTypes.error) throw refusal(frame.payload);
    if (frame.type !== frameTypes.ping) throw unexpected(frame.type, 'PING');
  }
}

/** Rejects with the first failure among `work`; never resolves. */
function failureOf(work: readonly Promise<unknown>[]): Promise<never> {
  return new Promise((_, reject) => {
    for (const promise of work) promise.catch(reject);
  });
}

/** The units that a HAVE names. */
function* unitsOf(have: Have, unitCount: number): Generator<{ unit: number; digest: Uint8Array }> {
  let at = 0;
  for (let index = 0; index < have.bitmap.length * 8; index++) {
    if (((have.bitmap[index >> 3] ?? 0) & (1 << (index & 7))) === 0) continue;
    const unit = have.firstUnit + index;
    if (unit >= unitCount) throw new BatonError('PROTOCOL', `have: unit is ${unit}, but there are ${unitCount}`);
    yield { unit, digest: have.digests.subarray(at, at + 32) };
    at += 32;
  }
}

/** What the receiver said before it ended the connection. */
function refusal(payload: Uint8Array): BatonError {
  const { code, message, retryable } = decodeError(payload);
  return fromErrorRecord({ code: code as ErrorCode, message: `the receiver refused: ${message}`, retryable });
}

function unexpected(type: number, wanted: string): BatonError {
  return new BatonError('PROTOCOL', `a frame of type ${type} arrived where ${wanted} was due`);
}
