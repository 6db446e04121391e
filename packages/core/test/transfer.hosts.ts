import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatonError, type ErrorCode } from '../src/errors.ts';
import { close } from '../src/files/libc.ts';
import { openDirectory } from '../src/files/open.ts';
import { Manifest } from '../src/protocol/manifest.ts';
import { treeDigest } from '../src/protocol/tree-digest.ts';
import { dataVersions } from '../src/protocol/versions.ts';
import { claimUnits } from '../src/transfer/claims.ts';
import { type HopOptions, sendToHop } from '../src/transfer/hop-sender.ts';
import { Layout } from '../src/transfer/layout.ts';
import { type Expectation, Receiver } from '../src/transfer/receiver.ts';
import { prepareStaging, type ResumeReport } from '../src/transfer/resume.ts';
import { SourceTree } from '../src/transfer/source-tree.ts';
import { StagedTree } from '../src/transfer/staged-tree.ts';
import { Staging } from '../src/transfer/staging.ts';
import type { UnitSupply } from '../src/transfer/supply.ts';
import { WorkerPool } from '../src/transfer/worker-pool.ts';
import { type MemoryFaults, openMemoryPair } from '../src/transport/memory.ts';

// Hosts in one process: real worker threads, real trees on the disk, and a network of memory connections with faults.

export const jobId: Uint8Array = new Uint8Array(16).fill(7);
const fingerprintOf = (member: number): string => String(member).padStart(64, '0');
export const members: readonly string[] = [0, 1, 2, 3].map(fingerprintOf);

/** A directory that goes away, with `source` in it. */
export function makeBase(): Disposable & { readonly path: string; readonly source: string } {
  const path = mkdtempSync(join(tmpdir(), 'baton-transfer-'));
  mkdirSync(join(path, 'source'));
  return { path, source: join(path, 'source'), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The source's host: its tree walked and open. */
export async function openSource(path: string): Promise<SourceHost> {
  const pool = new WorkerPool(2);
  const root = Buffer.from(path);
  const walked = await pool.run({ kind: 'walk', root, exclude: [], oneFileSystem: false });
  const manifest = Manifest.fromShare(walked.manifest);
  const layout = Layout.fromShare(walked.layout);
  const parentDescriptor = openDirectory(Buffer.from(join(path, '..')), { readable: false });
  const rootName = Buffer.from(path.slice(path.lastIndexOf('/') + 1));
  const { manifest: manifestShare, layout: layoutShare } = walked;
  const tree = { parentDescriptor, rootName, manifest: manifestShare, layout: layoutShare, role: 'source' } as const;
  await pool.runOnAll({ kind: 'open', tree });
  const changes: string[] = [];
  const supply = new SourceTree(pool, manifest, layout, (entry, what) => changes.push(`${entry} ${what}`));
  return {
    supply,
    manifest,
    layout,
    changes,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      close(parentDescriptor);
    },
  };
}

export type SourceHost = AsyncDisposable & {
  readonly supply: SourceTree;
  readonly manifest: Manifest;
  readonly layout: Layout;
  readonly changes: readonly string[];
};

export type TargetHost = AsyncDisposable & {
  readonly staging: Staging;
  readonly receiver: Receiver;
  readonly pool: WorkerPool;
  /** Whom it expects; tests change it. */
  readonly expected: { epoch: number };
  readonly failures: Error[];
  readonly damaged: number[];
  readonly prepared: { report: ResumeReport | undefined };
  /** Publishes the copy once it is full, and gives the tree digest. */
  finish(): Promise<Uint8Array>;
};

/** A target's host, as an agent composes it: staging, receiver and, at the end, the final name. */
export async function openTarget(
  directory: string,
  options: {
    readonly manifest: Manifest;
    readonly member?: number;
    readonly digest?: Uint8Array;
    readonly name?: string;
    /** It takes the place of what has the name. */
    readonly updates?: boolean;
    readonly isSpool?: boolean;
  },
): Promise<TargetHost> {
  mkdirSync(directory, { recursive: true });
  const pool = new WorkerPool(2);
  const name = Buffer.from(options.name ?? 'source');
  const job = { source: 'here', name, ...(options.updates === true ? { updates: true as const } : {}) };
  const staging = await Staging.open(Buffer.from(directory), job, pool).catch(async (error: unknown) => {
    await pool[Symbol.asyncDispose]();
    throw error;
  });
  const expected = { epoch: 1 };
  const failures: Error[] = [];
  const damaged: number[] = [];
  const prepared: { report: ResumeReport | undefined } = { report: undefined };
  const expectation = (): Expectation => {
    return { jobId, to: options.member ?? 1, members, epoch: expected.epoch, versions: dataVersions };
  };
  const prepare = async (sections: readonly Uint8Array[]): Promise<StagedTree> => {
    const manifest = Manifest.fromSections(sections, options.manifest.digest);
    const layout = Layout.of(manifest);
    const onDamaged = (unit: number): number => damaged.push(unit);
    const { isSpool = false } = options;
    const context = { pool, staging, manifest, layout, isSpool, onDamaged, onChecked: () => {} };
    const { have, report } = await prepareStaging(context);
    prepared.report = report;
    return new StagedTree(pool, staging, { manifest, layout, have });
  };
  const digestOf = (tree: StagedTree): Uint8Array =>
    treeDigest(tree.manifest.digest, tree.have.allDigests(), tree.have.allChanges());
  const receiver = new Receiver({
    expectation,
    manifestDigest: options.digest ?? options.manifest.digest,
    manifestBytesMax: options.manifest.sections.reduce((sum, { byteLength }) => sum + byteLength, 0),
    prepare,
    complete: async (tree) => digestOf(tree),
    onFailure: (error) => failures.push(error),
    claim: options.updates === true ? claimUnits : undefined,
    writesMax: 4,
  });
  return {
    staging,
    receiver,
    pool,
    expected,
    failures,
    damaged,
    prepared,
    async finish() {
      const tree = await receiver.tree;
      await tree.full;
      await pool.runOnAll({ kind: 'close' });
      await pool.run({ kind: 'finish', applyAllFiles: true, omit: tree.lostEntries() });
      const digest = digestOf(tree);
      await staging.publish(digest, pool);
      await staging.replaceByNote(pool);
      staging.conclude();
      return digest;
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      staging[Symbol.dispose]();
    },
  };
}

/** What can be different about a hop. */
export type HopChanges = Partial<Pick<HopOptions, 'streams' | 'compression' | 'rateLimit' | 'readsMax'>> & {
  readonly from?: number;
  readonly to?: number;
  readonly epoch?: number;
  /** Faults of the bytes to the receiver, connection by connection. */
  readonly faults?: (connection: number) => MemoryFaults;
  readonly signal?: AbortSignal;
};

/** Feeds a target once, over new memory connections. */
export function feed(
  supply: UnitSupply,
  target: Pick<TargetHost, 'receiver'>,
  hop: HopChanges = {},
): Promise<Uint8Array> {
  const { from = 0, to = 1, epoch = 1, faults, signal = new AbortController().signal, ...feeding } = hop;
  let connections = 0;
  const connect = async () => {
    const [ours, theirs] = openMemoryPair({
      fingerprints: [fingerprintOf(from), fingerprintOf(to)],
      faults: [faults?.(connections++) ?? {}, {}],
    });
    void target.receiver.serve(theirs, new AbortController().signal);
    return ours;
  };
  const options: HopOptions = {
    hello: { version: dataVersions.max, jobId, from, to, epoch },
    streams: 2,
    compression: { mode: 'none' },
    rateLimit: undefined,
    readsMax: 3,
    connect,
    ...feeding,
  };
  return sendToHop(supply, options, signal);
}

/** Throws unless two trees have the same names and content, by a tool of the system's. */
export function assertSameTrees(left: string, right: string): void {
  execFileSync('diff', ['-r', '--no-dereference', left, right], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The time a test may take. */
export const patience: { readonly timeout: number } = { timeout: 120_000 };

/** Whether an error is a BatonError with this code. */
export function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code;
}

/** Content that zstd half shrinks; the same for the same seed. */
/** Bytes that compress by half or so. */
export function content(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed | 1;
  for (let at = 0; at + 4 <= bytes; at += (at & 8192) === 0 ? 4 : 64) {
    state = (Math.imul(state ^ (state >>> 13), 0x5bd1e995) + at) | 0;
    buffer.writeInt32LE(state, at);
  }
  return buffer;
}

/** Some large files, many small ones, one that is all hole, a link of each kind. */
export function fill(directory: string, megabytes: number, seed = 1): void {
  mkdirSync(join(directory, 'deep/er'), { recursive: true });
  writeFileSync(join(directory, 'large'), content(megabytes * 1_000_000, seed));
  for (let index = 0; index < 300; index++) {
    writeFileSync(
      join(directory, index % 2 === 0 ? 'deep' : 'deep/er', `small-${index}`),
      content(index * 37, seed + index),
    );
  }
  writeFileSync(join(directory, 'hole'), '');
  truncateSync(join(directory, 'hole'), 3_000_000);
  symlinkSync('../nowhere', join(directory, 'deep/symlink'));
  linkSync(join(directory, 'large'), join(directory, 'deep/hardlink'));
}
