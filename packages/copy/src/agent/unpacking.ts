import { readMoves } from '@batondb/core/archive/moves';
import type { UnpackProgress, UnpackTask } from '@batondb/core/archive/unpack-job';
import { runUnpackThread } from '@batondb/core/archive/unpack-thread';
import { BatonError } from '@batondb/core/errors';
import { printable } from '@batondb/core/files/names';
import { freeSpace } from '@batondb/core/files/space';
import { statDescriptor } from '@batondb/core/files/stat';
import { formatBytes } from '@batondb/core/text/format';
import type { PublishedCopy } from '@batondb/core/transfer/published-note';
import { removeNote } from '@batondb/core/transfer/published-note';
import { type Staging, stagedTreeName } from '@batondb/core/transfer/staging';
import { noteName, type StagingJob, stagingName } from '@batondb/core/transfer/staging-names';
import { findUnpacked, replaceByNote } from '@batondb/core/transfer/unpacked-staging';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { fromHex, toHex } from '../bytes.ts';
import type { Unpacked } from '../events.ts';
import type { Report } from './agent.ts';

/** What it works with. */
export type UnpackingOptions = {
  readonly pool: WorkerPool;
  readonly staging: Staging;
  readonly directory: Uint8Array;
  readonly job: StagingJob;
  /** Of the archive's copy. */
  readonly manifestDigest: Uint8Array;
  readonly report: Report;
  readonly signal: AbortSignal;
};

/**
 * What a target does with an archive once it has it, in place of giving it its final name: unpacks it beside, moves what was in it into
 * the target directory, and keeps the archive itself for as long as others may be fed from it.
 */
export class Unpacking {
  readonly #options: UnpackingOptions;
  #published: PublishedCopy | undefined;
  #isReplaced = false;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: UnpackingOptions) {
    this.#options = options;
  }

  /** What an earlier run has unpacked; what it had begun to move is moved on. Then nothing but a note of it is left. */
  async earlier(): Promise<PublishedCopy | undefined> {
    const { staging, job } = this.#options;
    const { targetDescriptor } = staging;
    this.#published = findUnpacked(targetDescriptor, job);
    if (this.#published === undefined) removeNote(targetDescriptor, noteName(job));
    if (this.#published === undefined && readMoves(staging.descriptor) !== undefined)
      await this.#runThread(undefined, '', () => undefined);
    if (this.#published !== undefined) this.leaveNote();
    return this.#published;
  }

  /** Unpacks the archive, whose copy is complete, verified and synced. */
  async run(treeDigest: Uint8Array, onProgress: (progress: UnpackProgress) => void): Promise<Unpacked> {
    const { pool, staging, job, directory } = this.#options;
    let progress: UnpackProgress = { readBytes: 0, entries: 0 };
    try {
      return await this.#runThread(stagedTreeName, toHex(treeDigest), (next) => onProgress((progress = next)));
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      // Given again, the same archive would be refused again: nothing of it stays.
      if (error.code === 'BAD_ARCHIVE')
        await pool.run({ kind: 'remove', parentDescriptor: staging.targetDescriptor, name: stagingName(job) });
      if (error.code !== 'NO_SPACE') throw error;
      const free = formatBytes(freeSpace(directory).freeBytes);
      const message = `${error.message}; unpacking into ${printable(directory)} stopped after ${formatBytes(progress.readBytes)} of the archive, and with what was unpacked removed, ${free} are free`;
      throw new BatonError('NO_SPACE', message, {
        hint: error.hint ?? 'make space and run the same command again: it continues',
        cause: error,
      });
    }
  }

  /** Removes the archive, and everything else but a note of what was unpacked. Nobody may be fed from it any more. */
  leaveNote(): void {
    const { staging, job } = this.#options;
    if (this.#published === undefined || this.#isReplaced) return;
    replaceByNote(staging.targetDescriptor, job, this.#published);
    this.#isReplaced = true;
  }

  /** Resolves when nothing is unpacked any more, however that ended. */
  async settled(): Promise<void> {
    await this.#work.catch(() => undefined);
  }

  async #runThread(
    archiveName: Uint8Array | undefined,
    treeDigest: string,
    onProgress: (progress: UnpackProgress) => void,
  ): Promise<Unpacked> {
    const { staging, directory, job, manifestDigest, report, signal } = this.#options;
    const task: UnpackTask = {
      stagingDescriptor: staging.descriptor,
      targetDescriptor: staging.targetDescriptor,
      directory: printable(directory),
      job,
      archiveName,
      manifestDigest: toHex(manifestDigest),
      treeDigest,
    };
    const work = runUnpackThread(task, onProgress, signal);
    this.#work = work;
    const result = await work;
    for (const { what, count, example, reason } of result.notKept)
      report({ type: 'not-kept', what, count, example, reason });
    this.#published = {
      device: statDescriptor(staging.targetDescriptor).device,
      inode: result.inode,
      treeDigest: fromHex(result.treeDigest),
      manifestDigest: fromHex(result.manifestDigest),
    };
    return result.count;
  }
}
