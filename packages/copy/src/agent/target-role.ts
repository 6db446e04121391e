import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { entryPath } from '@batondb/core/files/directories';
import { printable } from '@batondb/core/files/names';
import { freeSpace } from '@batondb/core/files/space';
import { toBatonError } from '@batondb/core/files/system-error';
import { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { formatBytes } from '@batondb/core/text/format';
import { claimUnits } from '@batondb/core/transfer/claims';
import { Layout } from '@batondb/core/transfer/layout';
import type { PublishedCopy } from '@batondb/core/transfer/published-note';
import { Receiver, type ReceiverOptions } from '@batondb/core/transfer/receiver';
import { prepareStaging } from '@batondb/core/transfer/resume';
import { StagedTree } from '@batondb/core/transfer/staged-tree';
import { Staging } from '@batondb/core/transfer/staging';
import type { StagingJob } from '@batondb/core/transfer/staging-names';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { toHex } from '../bytes.ts';
import type { BackupTask } from '../control/messages.ts';
import type { TargetPhase } from '../events.ts';
import type { Report } from './agent.ts';
import { BackupTarget } from './backup-target.ts';
import { ProgressCount } from './progress-count.ts';
import { Unpacking } from './unpacking.ts';

/** What a target is told. */
export type TargetOptions = {
  readonly pool: WorkerPool;
  readonly directory: Uint8Array;
  readonly job: StagingJob;
  readonly manifestDigest: Uint8Array;
  readonly manifestBytes: number;
  readonly verify: 'wire' | 'disk';
  /** What is not completed of it is removed. */
  readonly isStream: boolean;
  /** It is a backup: what becomes of it. */
  readonly backup: BackupTask | undefined;
  readonly expectation: ReceiverOptions['expectation'];
  readonly report: Report;
  readonly signal: AbortSignal;
};

const progressMs = 500;
/** What a stream's source keeps waits for the targets' word. */
const streamProgressMs = 100;

/** An agent as a target: receives into staging, verifies, applies metadata and gives the copy its final name. */
export class TargetRole implements Disposable {
  readonly receiver: Receiver;
  /** Number of the route that is valid now; 0: none yet. */
  epoch = 0;
  readonly #options: TargetOptions;
  readonly #staging: Staging;
  /** Of an archive that is unpacked here. */
  readonly #unpacking: Unpacking | undefined;
  readonly #progress = new ProgressCount();
  #timer: NodeJS.Timeout;
  #stream: StagedTree | undefined;
  readonly #backup: BackupTarget | undefined;
  #phase: TargetPhase = 'checking';
  #digest: Promise<Uint8Array> | undefined;

  private constructor(options: TargetOptions, staging: Staging) {
    this.#options = options;
    this.#staging = staging;
    this.#unpacking = options.job.unpacks === true ? new Unpacking({ ...options, staging }) : undefined;
    const { backup: task, pool, directory, job } = options;
    const onPhase = (phase: TargetPhase) => void (this.#phase = phase);
    // What is read again at the end stays until then.
    const keepsStream = options.verify === 'disk';
    this.#backup = task && new BackupTarget({ task, pool, staging, directory, job, keepsStream, onPhase });
    this.receiver = new Receiver({
      expectation: options.expectation,
      manifestDigest: options.manifestDigest,
      manifestBytesMax: options.manifestBytes,
      prepare: (sections) => this.#prepare(sections),
      claim: options.job.updates === true ? claimUnits : undefined,
      complete: (tree) => this.#complete(tree),
      onFailure: (error) => this.#fail(error),
      writesMax: options.pool.size * 2,
    });
    this.#timer = setInterval(() => this.#tell(), progressMs);
  }

  /** Takes or makes the staging directory. What an earlier run had published already is done at once. */
  static async open(options: TargetOptions): Promise<TargetRole> {
    const staging = await Staging.open(options.directory, options.job, options.pool);
    const role = new TargetRole(options, staging);
    const published = await role.#publishedEarlier();
    if (published === undefined) {
      try {
        await role.#backup?.finishEarlier();
        if (options.job.unpacks !== true) await staging.checkName(options.pool);
        return role;
      } catch (error) {
        role[Symbol.dispose]();
        throw error;
      }
    }
    if (Buffer.compare(published.manifestDigest, options.manifestDigest) !== 0) {
      staging.conclude();
      role[Symbol.dispose]();
      // What was brought up to date then is what is brought up to date now.
      if (options.job.updates === true) return await TargetRole.open(options);
      throw outdated(options);
    }
    role.#end('done');
    options.report({ type: 'done', treeDigest: toHex(published.treeDigest) });
    return role;
  }

  async #publishedEarlier(): Promise<PublishedCopy | undefined> {
    if (this.#unpacking !== undefined) return await this.#unpacking.earlier();
    const published = this.#staging.publishedEarlier();
    if (published !== undefined) await this.#staging.replaceByNote(this.#options.pool);
    return published;
  }

  /** From now on only the sender of this route is admitted. */
  expect(epoch: number): void {
    this.epoch = epoch;
    this.receiver.dropOlderThan(epoch);
  }

  /** R6: every target has the units of a stream below this one. */
  release(units: number): void {
    this.#backup?.release(units);
  }

  /** Removes the last trace of how the copy was made. */
  conclude(): void {
    if (this.#phase !== 'done') throw new BatonError('PROTOCOL', `a copy that is ${this.#phase} cannot be concluded`);
    this.#unpacking?.leaveNote();
    this.#staging.conclude();
  }

  /** Resolves when nothing is unpacked any more. */
  async settled(): Promise<void> {
    await this.#unpacking?.settled();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#unpacking?.leaveNote();
    this.#staging[Symbol.dispose]();
  }

  async #prepare(sections: readonly Uint8Array[]): Promise<StagedTree> {
    const { pool, report } = this.#options;
    const checked = await pool.run({ kind: 'manifest', sections, digest: this.#options.manifestDigest });
    const manifest = Manifest.fromShare(checked.manifest);
    const layout = Layout.fromShare(checked.layout);
    this.#staging.checkKind(manifest.kindOf(0));
    this.#progress.start(layout);
    const { have, report: resumed } = await prepareStaging({
      pool,
      staging: this.#staging,
      manifest,
      layout,
      isSpool: this.#backup !== undefined,
      onChecked: (bytes) => this.#addReread(bytes),
      onDamaged: (unit, unitLayout, unitManifest) => this.#tellDamaged(unit, unitLayout, unitManifest),
    });
    if (resumed.keptUnits > 0 || resumed.discardedFiles > 0) report({ type: 'resumed', ...resumed });
    this.#progress.resumed(have);
    const tree = new StagedTree(pool, this.#staging, { manifest, layout, have });
    tree.watch((unit, message) => this.#progress.add(unit, message));
    this.#phase = 'receiving';
    if (layout.isStream) this.#followStream(tree);
    tree.full.then(() => this.#finish(tree, resumed.keptUnits > 0)).catch((error: unknown) => this.#fail(error));
    return tree;
  }

  #followStream(tree: StagedTree): void {
    this.#stream = tree;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tell(), streamProgressMs);
    this.#backup?.start(tree, (error) => this.#fail(error));
  }

  /** Removes what there is of a stream that was not completed: nobody will ever go on with it. */
  async abandonStream(): Promise<void> {
    if (!this.#options.isStream) return;
    await this.#backup?.[Symbol.asyncDispose]();
    // Of a backup that is done, what is left of its stream is still there.
    if (this.#phase === 'done' && this.#backup === undefined) return;
    this.receiver.close(new BatonError('INTERRUPTED', 'the stream was given up'));
    // What is still being written would come up again in the directory that is being removed.
    await this.receiver.settled();
    // What stays is removed by the next run, or by `clean`.
    await this.#staging.remove(this.#options.pool).catch(() => undefined);
  }

  #complete(tree: StagedTree): Promise<Uint8Array> {
    this.#digest ??= (async () => treeDigest(tree.manifest.digest, tree.have.allDigests(), tree.have.allChanges()))();
    return this.#digest;
  }

  async #finish(tree: StagedTree, isResumed: boolean): Promise<void> {
    const { pool, verify, report } = this.#options;
    const sync = () => pool.run({ kind: 'sync', descriptor: this.#staging.descriptor, scope: 'file-system' });
    const omit = tree.lostEntries();
    if (omit.includes(0))
      throw new BatonError('SOURCE_CHANGED', 'the source vanished or became unreadable during the copy');
    if (verify === 'disk') {
      this.#phase = 'verifying';
      await sync();
      await this.#verifyDisk(tree);
    }
    this.#phase = 'finishing';
    await pool.runOnAll({ kind: 'close' });
    const { notKept } = await pool.run({ kind: 'finish', applyAllFiles: isResumed, omit });
    const digest = await this.#complete(tree);
    if (this.#unpacking !== undefined) {
      await sync();
      return await this.#unpack(this.#unpacking, digest);
    }
    if (this.#backup !== undefined) {
      const backup = await this.#backup.finish(tree, digest);
      this.#end('done');
      report({ type: 'done', treeDigest: toHex(digest), backup });
      return;
    }
    for (const { what, count, example, reason } of notKept) report({ type: 'not-kept', what, count, example, reason });
    await sync();
    await this.#staging.publish(digest, pool);
    await this.#staging.replaceByNote(pool);
    // A stream is never asked for again.
    if (this.#options.isStream) this.#staging.conclude();
    this.#end('done');
    report({ type: 'done', treeDigest: toHex(digest) });
  }

  async #unpack(unpacking: Unpacking, digest: Uint8Array): Promise<void> {
    this.#progress.rereadBytes = 0;
    this.#phase = 'unpacking';
    const unpacked = await unpacking.run(digest, ({ readBytes }) => {
      this.#progress.rereadBytes = readBytes;
    });
    this.#end('done');
    this.#options.report({ type: 'done', treeDigest: toHex(digest), unpacked });
  }

  async #verifyDisk(tree: StagedTree): Promise<void> {
    this.#progress.rereadBytes = 0;
    const damaged = await tree.verify((bytes) => this.#addReread(bytes), this.#options.signal);
    for (const unit of damaged) this.#tellDamaged(unit, tree.layout, tree.manifest);
    const [first] = damaged;
    if (first === undefined) return;
    throw new BatonError(
      'DIGEST_MISMATCH',
      `${damaged.length} units are not on the disk as they were received; the first is unit ${first}`,
      {
        hint: 'look for disk errors with dmesg; the same command fetches these units again',
      },
    );
  }

  #addReread(bytes: number): void {
    this.#progress.rereadBytes += bytes;
  }

  #tellDamaged(unit: number, layout: Layout, manifest: Manifest): void {
    const [piece] = layout.pieces(unit);
    if (piece === undefined) return;
    const { entry, offset } = piece;
    const path = entryPath(manifest, entry);
    this.#options.report({ type: 'unit-damaged', unit, path, offset, length: layout.unitBytes(unit) });
  }

  #fail(error: unknown): void {
    if (this.#phase === 'done' || this.#phase === 'failed' || this.#options.signal.aborted) return;
    this.#end('failed');
    const reason = this.#explain(error);
    this.receiver.close(reason);
    this.#options.report({ type: 'failed', error: toErrorRecord(reason) });
  }

  /** A full disk is explained with its numbers. */
  #explain(error: unknown): BatonError {
    const known = toBatonError(error);
    // What it unpacks into explains it itself.
    if (known.code !== 'NO_SPACE' || this.#progress.doneBytes === this.#progress.totalBytes) return known;
    const { freeBytes, freeInodes } = freeSpace(this.#options.directory);
    const missing = this.#progress.totalBytes - this.#progress.doneBytes;
    const inodes = freeInodes === undefined ? '' : ` and ${freeInodes} inodes`;
    const { isStream } = this.#options;
    const stillToCome = isStream ? 'more of the stream is' : `${formatBytes(missing)} are`;
    const hint = `make space and run the same command again: it ${isStream ? 'begins anew' : 'continues'}`;
    return new BatonError(
      'NO_SPACE',
      `${printable(this.#options.directory)} has ${formatBytes(freeBytes)}${inodes} left, and ${stillToCome} still to come`,
      { hint, cause: known },
    );
  }

  #end(phase: 'done' | 'failed'): void {
    this.#phase = phase;
    this.#tell();
    clearInterval(this.#timer);
  }

  #tell(): void {
    const { totalBytes, doneFiles, totalFiles, resumedBytes, rereadBytes } = this.#progress;
    const { wireBytes } = this.receiver;
    const phase = this.#phase;
    const isRereading = phase === 'checking' || phase === 'verifying' || phase === 'unpacking';
    const doneBytes = isRereading ? rereadBytes : this.#progress.doneBytes;
    this.#options.report({
      type: 'progress',
      phase,
      doneBytes,
      totalBytes,
      doneFiles,
      totalFiles,
      resumedBytes,
      wireBytes,
      ...(this.#stream === undefined ? {} : { heldUnits: this.#stream.have.prefix }),
    });
  }
}

function outdated({ directory, job }: TargetOptions): BatonError {
  const copy = `${printable(directory).replace(/\/$/, '')}/${printable(job.name)}`;
  const path = job.unpacks === true ? printable(directory) : copy;
  return new BatonError('EXISTS', `${path} was completed by an earlier run, and the source is not what it was then`, {
    hint: 'keep it as a copy of the source at that time, or move it away and run the same command again',
  });
}
