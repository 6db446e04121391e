import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { connectTls } from '@batondb/core/transport/tls';
import type { Connection } from '@batondb/core/transport/transport';
import { type ConnectOptions, connectToJoiner, type DonorSession } from '../src/wire/donor-session.ts';
import { type JoinerSession, type ListenOptions, listenForDonor } from '../src/wire/joiner-session.ts';

// Donor and joiner in one process, over real TLS on the loopback interface, with a proxy between them where a test needs one.

export const never: AbortSignal = new AbortController().signal;
export const key: Uint8Array = Buffer.alloc(32, 7);
/** Short, so that a test sees the end of it. */
export const impatient = { absenceMsMax: 2500, refusedMsMax: 700 } as const;

/** What an error has to be. */
export function hasCode(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && codes.includes(error.code);
}

/** A directory that goes away. */
export function makeDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'baton-wire-'));
  mkdirSync(join(path, 'staging'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export type Pair = AsyncDisposable & {
  readonly joiner: JoinerSession;
  readonly donor: DonorSession;
  readonly notes: string[];
  readonly proxy: CuttingProxy;
};

/** A joiner that listens locally. */
export async function openJoiner(options: Partial<ListenOptions> = {}): Promise<JoinerSession> {
  const ports = { first: 0, last: 0, excluded: [] };
  return await listenForDonor({ host: '127.0.0.1', ports, key, ...options }, never);
}

/** What a donor of this joiner's ready line connects with. */
export function placeOf(joiner: JoinerSession, more: Partial<ConnectOptions> = {}): ConnectOptions {
  const { port, secret, fingerprint } = joiner;
  return { host: '127.0.0.1', port, secret, fingerprint, key, ...more };
}

/** A session whose connections all go through a proxy. */
export async function openPair(
  options: { readonly joiner?: Partial<ListenOptions>; readonly donor?: Partial<ConnectOptions> } = {},
): Promise<Pair> {
  const notes: string[] = [];
  const joiner = await openJoiner({ onNote: (note) => notes.push(`joiner: ${note}`), ...options.joiner });
  const proxy = await CuttingProxy.open(joiner.port);
  const place = placeOf(joiner, { port: proxy.port, onNote: (note) => notes.push(`donor: ${note}`), ...options.donor });
  const donor = await connectToJoiner(place, never);
  return {
    joiner,
    donor,
    notes,
    proxy,
    async [Symbol.asyncDispose]() {
      await Promise.all([donor[Symbol.asyncDispose](), joiner[Symbol.asyncDispose]()]);
      proxy[Symbol.dispose]();
    },
  };
}

/** The offer is made and accepted. */
export async function agree({ donor, joiner }: Pair, method: 'backup' | 'files' = 'backup'): Promise<void> {
  const accepted = donor.offer({ method, estimatedBytes: 0, about: {} }, never);
  await joiner.offer(never);
  joiner.accept();
  await accepted;
}

/** What a proxy does to the bytes of the donor. */
export type Tamper = (chunk: Buffer, at: number) => Buffer;

/** Passes TCP connections on, and cuts, holds or changes them. */
export class CuttingProxy implements Disposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes that came from the donor, over all connections. */
  bytes = 0;
  tamper: Tamper | undefined;
  /** Nothing is passed on any more, and nothing ends. */
  isHeld = false;
  /** New connections end at once. */
  isDown = false;

  private constructor(target: number) {
    this.#server = createServer((near) => {
      if (this.isDown) return void near.destroy();
      const far = connect(target, '127.0.0.1');
      let at = 0;
      near.on('data', (chunk: Buffer) => {
        const sent = this.tamper?.(chunk, at) ?? chunk;
        at += chunk.length;
        this.bytes += chunk.length;
        if (this.isHeld) return;
        if (!far.write(sent)) near.pause();
      });
      far.on('drain', () => near.resume());
      far.on('data', (chunk: Buffer) => {
        if (!this.isHeld && !near.write(chunk)) far.pause();
      });
      near.on('drain', () => far.resume());
      far.on('end', () => near.end());
      near.on('end', () => far.end());
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  static async open(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Breaks every connection that is open. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.cut();
  }
}

/** A joiner, what it noted, and that no stranger ever became its donor. */
export async function openTarget(): Promise<
  AsyncDisposable & { joiner: JoinerSession; notes: string[]; untouched(): void }
> {
  const notes: string[] = [];
  const joiner = await openJoiner({ onNote: (note) => notes.push(note) });
  return {
    joiner,
    notes,
    untouched() {
      assert.ok(!joiner.hasDonor);
      assert.ok(!joiner.signal.aborted);
    },
    [Symbol.asyncDispose]: () => joiner[Symbol.asyncDispose](),
  };
}

/** A TLS connection of somebody who is no donor of ours. */
export async function dial(joiner: JoinerSession): Promise<Connection> {
  const { port, fingerprint: expectedFingerprint } = joiner;
  return await connectTls({ host: '127.0.0.1', port, expectedFingerprint, identity: makeIdentity(), timeoutMs: 4000 });
}
