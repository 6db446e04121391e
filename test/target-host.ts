import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceRole } from '@batondb/copy/agent/source-role';
import { TargetRole } from '@batondb/copy/agent/target-role';
import type { AgentEvent } from '@batondb/copy/control/messages';
import type { ErrorRecord } from '@batondb/core/errors';
import { type FrameType, frameTypes } from '@batondb/core/protocol/frame';
import { encodeHello, type Hello } from '@batondb/core/protocol/hello';
import { decodeError, encodeManifestEnd } from '@batondb/core/protocol/messages';
import { dataVersions } from '@batondb/core/protocol/versions';
import { sendToHop } from '@batondb/core/transfer/hop-sender';
import { Link } from '@batondb/core/transfer/link';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { openMemoryPair } from '@batondb/core/transport/memory';
import type { Connection } from '@batondb/core/transport/transport';

// A target as an agent runs it, with a sender that the test plays frame by frame: the transport is memory, all else is real.

/** What the coordinator tells a target of the only manifest it accepts, and what a sender sends as that. */
export type Offer = {
  readonly sections: readonly Uint8Array[];
  readonly digest: Uint8Array;
  readonly entries: number;
  readonly units: number;
};

const jobId = new Uint8Array(16).fill(7);
const fingerprints = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)] as const;

/** A target that receives into a directory. Member 0 is its sender, member 1 itself, member 2 another one. */
export class TargetHost implements AsyncDisposable {
  readonly events: AgentEvent[];
  readonly #role: TargetRole;
  readonly #pool: WorkerPool;
  readonly #ended: AbortController;

  private constructor(role: TargetRole, pool: WorkerPool, events: AgentEvent[], ended: AbortController) {
    this.#role = role;
    this.#pool = pool;
    this.events = events;
    this.#ended = ended;
  }

  /** Starts it for a manifest; the copy will have the name `copy`. */
  static async start(directory: string, offer: Pick<Offer, 'sections' | 'digest'>): Promise<TargetHost> {
    const pool = new WorkerPool(2);
    const events: AgentEvent[] = [];
    const ended = new AbortController();
    const expectation = { jobId, to: 1, members: fingerprints, versions: dataVersions };
    const role = await TargetRole.open({
      pool,
      directory: Buffer.from(directory),
      job: { source: 'the test', name: Buffer.from('copy') },
      manifestDigest: offer.digest,
      manifestBytes: offer.sections.reduce((bytes, section) => bytes + section.byteLength, 0),
      verify: 'wire',
      isStream: false,
      backup: undefined,
      expectation: () => ({ ...expectation, epoch: role.epoch }),
      report: (event) => events.push(event),
      signal: ended.signal,
    });
    role.expect(1);
    return new TargetHost(role, pool, events, ended);
  }

  /** The reason why it gave up for good, if it did. */
  get failure(): ErrorRecord | undefined {
    return this.events.find((event) => event.type === 'failed')?.error;
  }

  /** Connects as one of the members, by its certificate. */
  connect(member = 0): Connection {
    const [client, server] = openMemoryPair({ fingerprints: [fingerprints[member] ?? '', fingerprints[1]] });
    void this.#role.receiver.serve(server, this.#ended.signal);
    return client;
  }

  /** Waits until it has the copy or has given up. */
  async ended(): Promise<void> {
    while (!this.events.some(({ type }) => type === 'done' || type === 'failed')) await sleep(5);
  }

  /** Sends a tree as an honest source does, and waits until the copy has its name. */
  async receiveAll(source: string, compression: 'none' | 'auto' = 'none'): Promise<void> {
    await using pool = new WorkerPool(1);
    const { supply } = await scan(pool, source);
    const { binding: _binding, stream: _stream, streams: _streams, purpose: _purpose, ...hello } = helloOf();
    const options = { hello, streams: 2, compression: { mode: compression }, rateLimit: undefined, readsMax: 2 };
    await sendToHop(supply, { ...options, connect: async () => this.connect() }, AbortSignal.timeout(60_000));
    await this.ended();
    if (this.failure !== undefined) throw new Error(this.failure.message);
    this.#role.conclude();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the test is over'));
    await this.#pool[Symbol.asyncDispose]();
    this.#role[Symbol.dispose]();
  }
}

async function scan(pool: WorkerPool, source: string): Promise<SourceRole> {
  const params = { path: Buffer.from(source).toString('base64'), exclude: [], oneFileSystem: false };
  return await SourceRole.scan(pool, params, () => undefined);
}

/** What an honest source offers of a tree. */
export async function scanOffer(source: string): Promise<Offer> {
  await using pool = new WorkerPool(1);
  const { manifest, layout } = (await scan(pool, source)).supply;
  const { sections, digest, count } = manifest;
  return { sections, digest, entries: count, units: layout.unitCount };
}

/** The HELLO of an honest sender, with some of it changed. */
export function helloOf(changes: Partial<Hello> = {}): Hello {
  const binding = new Uint8Array(32);
  const route = { from: 0, to: 1, epoch: 1, stream: 0, streams: 1, purpose: 'data' } as const;
  return { version: dataVersions.max, jobId, ...route, binding, ...changes };
}

/** A sender under the test's control. */
export class Sender implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #link: Link;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#link = new Link(connection);
  }

  async write(type: FrameType, payload?: Uint8Array): Promise<void> {
    await this.#link.write(type, payload);
  }

  /** Sends bytes that are no frame of ours. */
  async raw(bytes: Uint8Array): Promise<void> {
    await this.#connection.write(bytes);
  }

  /** Sends HELLO; `binding` is this connection's unless given. */
  async hello(changes: Partial<Hello> = {}): Promise<void> {
    await this.write(frameTypes.hello, encodeHello(helloOf({ binding: this.#connection.binding, ...changes })));
  }

  /** Sends HELLO and the manifest, and reads what the target has. */
  async greet(offer: Offer): Promise<void> {
    await this.hello();
    for (const section of offer.sections) await this.write(frameTypes.manifestSection, section);
    await this.endManifest(offer);
    await this.readUntil(frameTypes.haveEnd);
  }

  async endManifest({ sections, entries, units, digest }: Offer): Promise<void> {
    await this.write(frameTypes.manifestEnd, encodeManifestEnd({ sections: sections.length, entries, units, digest }));
  }

  /** Reads until a frame of a type has come; throws when the target refuses instead, or closes. */
  async readUntil(type: FrameType): Promise<void> {
    for (;;) {
      const frame = await this.#connection.readFrame(AbortSignal.timeout(20_000));
      if (frame === undefined) throw new Error('the target has closed the connection without a word');
      if (frame.type === type) return;
      if (frame.type === frameTypes.error) throw new Error(`the target refused: ${showRefusal(frame.payload)}`);
    }
  }

  /** What the target says before it ends the connection: `CODE message`. Pings until then, as every sender does. */
  async refusal(): Promise<string> {
    const pings = setInterval(() => void this.write(frameTypes.ping).catch(() => undefined), 20);
    const timeout = AbortSignal.timeout(20_000);
    try {
      for (;;) {
        const frame = await this.#connection.readFrame(timeout);
        if (frame === undefined) return 'closed';
        if (frame.type === frameTypes.error) return showRefusal(frame.payload);
      }
    } finally {
      clearInterval(pings);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]();
  }
}

function showRefusal(payload: Uint8Array): string {
  const { code, message } = decodeError(payload);
  return `${code} ${message}`;
}

/** Bytes that no compressor shrinks. */
export function noise(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBytes(bytes));
}
