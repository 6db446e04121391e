import { occupantOf } from '@batondb/core/archive/empty-target';
import { carryOut, readMoves, type UnpackedCount, unpackedName, writeMoves } from '@batondb/core/archive/moves';
import { listTop } from '@batondb/core/archive/top';
import { BatonError } from '@batondb/core/errors';
import { check, mkdirat } from '@batondb/core/files/libc';
import { printable } from '@batondb/core/files/names';
import { limits } from '@batondb/core/limits';
import type { StagedTree } from '@batondb/core/transfer/staged-tree';
import { type Staging, stagedTreeName } from '@batondb/core/transfer/staging';
import type { StagingJob } from '@batondb/core/transfer/staging-names';
import { streamContent } from '@batondb/core/transfer/stream-content';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import {
  type BackupTool,
  chooseTool,
  formatPosition,
  positionToJson,
  prepare,
  readPosition,
  unpackContent,
  writePosition,
} from '@batondb/mariadb';
import { toHex } from '../bytes.ts';
import type { BackupTask, RequestParams, RequestResult } from '../control/messages.ts';
import type { BackupResult, Incremental, TargetPhase } from '../events.ts';
import { copyBase } from './backup-base.ts';
import { changeOwner, checkOwner } from './owner.ts';

/** Where an incremental backup is unpacked to that is applied to a copy of its base, beside that copy. */
const incrementalName: Uint8Array = Buffer.from('incremental');
/** So many units are freed at a time: it takes a call each time. */
const forgottenUnitsMin = 16;

/** What a backup is unpacked with. */
export type BackupTargetOptions = {
  readonly task: BackupTask;
  readonly pool: WorkerPool;
  readonly staging: Staging;
  readonly directory: Uint8Array;
  readonly job: StagingJob;
  /** The stream is kept until the end. */
  readonly keepsStream: boolean;
  readonly onPhase: (phase: TargetPhase) => void;
};

/**
 * What a target makes of a backup: unpacks it while it comes, prepares it (an incremental one together with a copy of its base), and moves
 * it into the empty target directory when all of it is good. Of the stream itself, what is unpacked stays in the staging directory for as
 * long as others may be fed from it.
 */
export class BackupTarget implements AsyncDisposable {
  readonly #options: BackupTargetOptions;
  readonly #ended = new AbortController();
  #files: Promise<number> | undefined;
  #result: Promise<BackupResult> | undefined;
  #unpackedUnits = 0;
  #releasedUnits = 0;

  constructor(options: BackupTargetOptions) {
    this.#options = options;
  }

  /**
   * Moves on what an earlier run was killed at moving, which is a whole backup: throws EXISTS then, since the directory is not empty any
   * more.
   */
  async finishEarlier(): Promise<void> {
    const { staging, directory, pool, task } = this.#options;
    const moves = readMoves(staging.descriptor);
    if (moves === undefined) return;
    carryOut(staging.descriptor, staging.targetDescriptor, moves, printable(directory));
    if (task.owner !== undefined) await changeOwner(task.owner, this.#targetPath(), { isDeep: false });
    await staging.remove(pool);
    throw new BatonError('EXISTS', `${printable(directory)} has the whole backup of an earlier run by now`, {
      hint: 'use that one, or empty the directory and run the same command again',
    });
  }

  /** Unpacks from now on what comes. Its failure is told by finish(), and by `onFailure` at once. */
  start(tree: StagedTree, onFailure: (error: Error) => void): void {
    this.#files = this.#gather(tree);
    this.#files.catch(onFailure);
  }

  /** R6: every target has the units below this one. */
  release(units: number): void {
    this.#releasedUnits = Math.max(this.#releasedUnits, units);
  }

  /** Makes the backup what was asked for, and moves it to its place. To be called once, when the stream is complete. */
  async finish(tree: StagedTree, treeDigest: Uint8Array): Promise<BackupResult> {
    this.#result = this.#finish(tree, treeDigest);
    return await this.#result;
  }

  /** Ends what runs, and returns when nothing of it writes any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new BatonError('INTERRUPTED', 'the copy has ended'));
    await Promise.allSettled([this.#files, this.#result]);
  }

  async #finish(tree: StagedTree, treeDigest: Uint8Array): Promise<BackupResult> {
    const { staging, directory, pool, task, job, onPhase } = this.#options;
    onPhase('unpacking');
    const files = (await this.#files) ?? 0;
    const path = this.#path(unpackedName);
    if (task.prepare) {
      onPhase('preparing');
      await this.#prepare(path);
    }
    onPhase('finishing');
    // Before the sync, which would write it.
    await this.#forget(tree);
    const position = await readPosition(path);
    await writePosition(path, position);
    if (task.owner !== undefined) await changeOwner(task.owner, path);
    await pool.run({ kind: 'sync', descriptor: staging.descriptor, scope: 'file-system' });
    // B2: all of it is on the disk, and nothing of it in the target directory yet.
    this.#ended.signal.throwIfAborted();
    const { descriptor, targetDescriptor } = staging;
    const occupant = occupantOf(targetDescriptor, job, undefined);
    if (occupant !== undefined) throw occupied(directory, occupant);
    const moves = listTop(descriptor);
    const count: UnpackedCount = { entries: moves.length, files, contentBytes: 0, skipped: 0 };
    const said = {
      manifestDigest: toHex(tree.manifest.digest),
      treeDigest: toHex(treeDigest),
      count,
      notKept: [],
      moves,
    };
    writeMoves(descriptor, said);
    carryOut(descriptor, targetDescriptor, said, printable(directory));
    if (task.owner !== undefined) await changeOwner(task.owner, this.#targetPath(), { isDeep: false });
    const details = positionToJson(position);
    return { position: formatPosition(position), details, files, isPrepared: task.prepare };
  }

  /** Brings together what the backup is made of. Returns the number of files in the stream. */
  async #gather(tree: StagedTree): Promise<number> {
    const { staging, pool } = this.#options;
    const applied = this.#applied();
    const names = applied === undefined ? [unpackedName] : [unpackedName, incrementalName];
    // What a killed run unpacked is of no use.
    for (const name of [unpackedName, incrementalName])
      await pool.run({ kind: 'remove', parentDescriptor: staging.descriptor, name });
    for (const name of names) check(mkdirat(staging.descriptor, name, 0o700), 'mkdirat', () => printable(name));
    // While the stream comes, none of which is freed before it is unpacked.
    if (applied !== undefined) await copyBase(applied, this.#path(unpackedName), this.#ended.signal);
    const into = this.#path(applied === undefined ? unpackedName : incrementalName);
    const files = await this.#unpack(tree, into);
    await this.#checkStart(into);
    return files;
  }

  /** What is applied to a copy of its base. */
  #applied(): Incremental | undefined {
    const { prepare: isPrepared, incremental } = this.#options.task;
    return isPrepared ? incremental : undefined;
  }

  /** Applied to a base that ends elsewhere, an incremental backup would be rubbish. */
  async #checkStart(path: string): Promise<void> {
    const expected = this.#options.task.incremental?.fromLsn ?? '0';
    const { fromLsn } = await readPosition(path);
    if (String(fromLsn) === expected) return;
    throw new BatonError('BACKUP_FAILED', `the backup begins at LSN ${fromLsn}, and LSN ${expected} was asked for`);
  }

  async #prepare(directory: string): Promise<void> {
    const { prepareMemoryBytes: memoryBytes } = this.#options.task;
    const incrementals = this.#applied() === undefined ? [] : [this.#path(incrementalName)];
    const options = { directory, tool: await this.#tool(), memoryBytes, incrementals };
    await prepare(options, () => undefined, this.#ended.signal);
  }

  async #unpack(tree: StagedTree, into: string): Promise<number> {
    const { signal } = this.#ended;
    return (await unpackContent(this.#content(tree, signal), into, await this.#tool(), signal)).files;
  }

  /** The stream, which is freed behind. */
  async *#content(tree: StagedTree, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const chunk of streamContent(tree, this.#stagedPath(), signal)) {
      yield chunk;
      this.#unpackedUnits += 1;
      await this.#forget(tree);
    }
  }

  /**
   * Frees of the stream what is unpacked and every target has, but for the last of it: healing may bring a unit over two ways, and one of
   * them may still ask for it.
   */
  async #forget(tree: StagedTree): Promise<void> {
    if (this.#options.keepsStream) return;
    const isAll = this.#releasedUnits === tree.have.unitCount;
    const releasedUnits = isAll ? this.#releasedUnits : this.#releasedUnits - limits.streamWindowUnits;
    const units = Math.min(this.#unpackedUnits, releasedUnits);
    if (isAll || units - tree.oldest >= forgottenUnitsMin) await tree.forget(units);
  }

  #tool(): Promise<BackupTool> {
    return chooseTool(this.#options.task.server, this.#ended.signal);
  }

  #path(name: Uint8Array): string {
    return `/proc/${process.pid}/fd/${this.#options.staging.descriptor}/${Buffer.from(name).toString()}`;
  }

  #stagedPath(): string {
    return `/proc/self/fd/${this.#options.staging.descriptor}/${Buffer.from(stagedTreeName).toString()}`;
  }

  #targetPath(): string {
    return `/proc/${process.pid}/fd/${this.#options.staging.targetDescriptor}/.`;
  }
}

/** Whether this host can do what is asked of it. Throws what preflight reports. */
export async function checkBackup(
  { server, owner }: RequestParams<'checkBackup'>,
  signal: AbortSignal,
): Promise<RequestResult<'checkBackup'>> {
  const tool = await chooseTool(server, signal);
  if (owner !== undefined) await checkOwner(owner);
  return { tool: tool.version.text };
}

function occupied(directory: Uint8Array, occupant: Uint8Array): BatonError {
  return new BatonError(
    'EXISTS',
    `${printable(directory)} is not empty any more: ${printable(occupant)} has appeared, and nothing existing is ever overwritten`,
    { hint: 'empty it, and run the same command again: it begins anew' },
  );
}
