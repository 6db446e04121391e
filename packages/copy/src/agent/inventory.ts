import { BatonError } from '@batondb/core/errors';
import { type UnitRun, unitRuns, zeroUnitDigest } from '@batondb/core/files/digest-file';
import { lowerPriority } from '@batondb/core/files/priority';
import type { OpenedFile, SurveyItem, SurveyStep } from '@batondb/core/files/survey';
import { limits } from '@batondb/core/limits';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { fromBase64 } from '../bytes.ts';
import type { InventoryBatch, InventoryCount, InventoryItem, InventoryParams } from '../control/inventory.ts';
import { BatchQueue } from './batch-queue.ts';

/** Steps of a survey at a time. */
const surveyedCount = 64;
/** Units of one file that one worker reads in a row: a disk likes long reads, and the queue is counted in these. */
const runUnits = 4;
/** Files no larger than this are read several to a job. */
const smallBytes = limits.unitBytes;
/** Files that may be open at a time: far below the limit of a process, whatever else it has open. */
const openFilesMax = 256;
/** What is read sooner than this needs nobody to say how long it will take. */
const countingDelayMs = 2_000;

/**
 * Reads a tree ahead of whoever asks for it, by a bounded measure: one worker walks and opens the files, the others read them.
 * Nothing is written, and access times stay where the kernel allows that (to the owner and root).
 */
export class Inventory implements AsyncDisposable {
  readonly #params: InventoryParams;
  readonly #readers: () => WorkerPool;
  readonly #walker: WorkerPool = new WorkerPool(1);
  readonly #queue = new BatchQueue<InventoryItem>(weightOf);
  readonly #done = { entries: 0, files: 0, bytes: 0 };
  #counter: WorkerPool | undefined;
  #counting: NodeJS.Timeout | undefined;
  #totals: InventoryCount | undefined;
  #openFiles = 0;
  /** Of the file whose units are being handed out: bytes still to come. */
  #bytesLeft = 0;

  /** `readers` is asked for the workers that read content, when there is some. */
  constructor(params: InventoryParams, readers: () => WorkerPool) {
    this.#params = params;
    this.#readers = readers;
  }

  /** Begins to read. Throws when the root itself cannot be read, so that this is said before anything else. */
  async begin(): Promise<void> {
    const { priority, totals, content } = this.#params;
    if (priority === 'low') lowerPriority();
    const { steps } = await this.#survey(this.#walker, content, true);
    void this.#read(steps);
    if (totals) this.#counting = setTimeout(() => void this.#count(), countingDelayMs);
  }

  /** The next batch, when there is something. Throws what ended the reading. */
  async next(): Promise<InventoryBatch> {
    const { values, isLast } = await this.#queue.next();
    for (const item of values) this.#note(item);
    return {
      items: values,
      isLast,
      done: { ...this.#done },
      ...(this.#totals === undefined ? {} : { totals: this.#totals }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#counting);
    this.#queue.fail(new BatonError('INTERRUPTED', 'the inventory was ended'));
    await Promise.all([this.#walker[Symbol.asyncDispose](), this.#counter?.[Symbol.asyncDispose]()]);
  }

  #survey(walker: WorkerPool, content: boolean, isBegin: boolean): Promise<{ readonly steps: readonly SurveyStep[] }> {
    if (!isBegin) return walker.run({ kind: 'survey', count: surveyedCount });
    const { exclude, oneFileSystem, hardlinks } = this.#params;
    const begin = { root: fromBase64(this.#params.path), exclude, oneFileSystem, hardlinks, content };
    return walker.run({ kind: 'survey', begin, count: surveyedCount });
  }

  async #read(first: readonly SurveyStep[]): Promise<void> {
    try {
      let steps = first;
      for (;;) {
        this.#openFiles += steps.filter(({ file }) => file !== undefined).length;
        await this.#readSteps(steps);
        if (steps.length < surveyedCount) break;
        await this.#queue.room(() => this.#openFiles < openFilesMax);
        ({ steps } = await this.#survey(this.#walker, this.#params.content, false));
      }
      this.#queue.end();
    } catch (error) {
      this.#queue.fail(error);
    }
  }

  /** In their order: small files with what is around them together, a large one by itself. */
  async #readSteps(steps: readonly SurveyStep[]): Promise<void> {
    let group: SurveyStep[] = [];
    let groupBytes = 0;
    for (const step of steps) {
      const bytes = step.file?.sizeBytes ?? 0;
      if (groupBytes + bytes > smallBytes) {
        await this.#queue.put(this.#readGroup(group));
        group = [];
        groupBytes = 0;
      }
      if (step.file !== undefined && bytes > smallBytes) {
        await this.#readLarge(step.item, step.file);
      } else {
        group.push(step);
        groupBytes += bytes;
      }
    }
    await this.#queue.put(this.#readGroup(group));
  }

  async #readGroup(steps: readonly SurveyStep[]): Promise<InventoryItem[]> {
    const files = steps.flatMap(({ file }) => (file === undefined ? [] : [file]));
    if (files.length === 0) return steps.map(({ item }) => item);
    const ranges = files.map((file) => ({ file, offset: 0, length: file.sizeBytes, isLast: true }));
    const { results } = await this.#readers().run({ kind: 'digest', ranges });
    this.#closed(files.length);
    let next = 0;
    return steps.flatMap(({ item, file }): InventoryItem[] => {
      const result = file === undefined ? undefined : results[next++];
      if (result === undefined) return [item];
      return [item, { type: 'units', digests: result.digests }, endOf(result.isChanged === true, result.failure)];
    });
  }

  async #readLarge(item: SurveyItem, file: OpenedFile): Promise<void> {
    await this.#queue.put(Promise.resolve([item]));
    const failures: string[] = [];
    const running: Promise<unknown>[] = [];
    for (const run of unitRuns(file.sizeBytes, file.extents, runUnits)) {
      const read = this.#readRun(file, run, failures);
      // The queue bounds how much is read ahead, so this list is what is at work and little more.
      running.push(read);
      await this.#queue.put(read);
      if (running.length >= 1024) await Promise.all(running.splice(0));
    }
    const close = async (): Promise<InventoryItem[]> => {
      await Promise.all(running);
      const ranges = [{ file, offset: 0, length: 0, isLast: true }];
      const { results } = await this.#readers().run({ kind: 'digest', ranges });
      this.#closed(1);
      return [endOf(results[0]?.isChanged === true, failures[0])];
    };
    await this.#queue.put(close());
  }

  async #readRun(file: OpenedFile, run: UnitRun, failures: string[]): Promise<InventoryItem[]> {
    if (run.isHole) return [{ type: 'units', digests: zeroUnitDigest, times: run.count }];
    const offset = run.firstUnit * limits.unitBytes;
    const length = Math.min(run.count * limits.unitBytes, file.sizeBytes - offset);
    const { results } = await this.#readers().run({
      kind: 'digest',
      ranges: [{ file, offset, length, isLast: false }],
    });
    const [result] = results;
    if (result?.failure !== undefined) failures.push(result.failure);
    return [{ type: 'units', digests: result?.digests ?? '' }];
  }

  /** Adds up the whole, ahead of the reading. What it cannot see the reading tells; it only lacks its total then. */
  async #count(): Promise<void> {
    const totals = { entries: 0, files: 0, bytes: 0 };
    this.#counter = new WorkerPool(1);
    try {
      for (let isBegin = true; ; isBegin = false) {
        const { steps } = await this.#survey(this.#counter, false, isBegin);
        for (const { item } of steps) {
          if (item.type === 'passed') continue;
          totals.entries += 1;
          if (item.type === 'hardlink' || item.kind !== 'file') continue;
          totals.files += 1;
          totals.bytes += item.sizeBytes ?? 0;
        }
        if (steps.length < surveyedCount) break;
      }
      this.#totals = totals;
    } catch {
      return;
    }
  }

  #note(item: InventoryItem): void {
    if (item.type === 'entry' || item.type === 'hardlink') {
      this.#done.entries += 1;
      this.#bytesLeft = item.type === 'entry' ? (item.sizeBytes ?? 0) : 0;
      if (item.type === 'entry' && item.kind === 'file') this.#done.files += 1;
    } else if (item.type === 'units') {
      const units = item.times ?? item.digests.length / zeroUnitDigest.length;
      const bytes = Math.min(this.#bytesLeft, units * limits.unitBytes);
      this.#bytesLeft -= bytes;
      this.#done.bytes += bytes;
    }
  }

  #closed(count: number): void {
    this.#openFiles -= count;
    this.#queue.changed();
  }
}

/** About how many bytes an item has in a frame. */
function weightOf(item: InventoryItem): number {
  const envelope = 200;
  if (item.type === 'units') return envelope + item.digests.length;
  if (item.type === 'hardlink') return envelope + item.name.length + item.link.length;
  return item.type === 'entry' ? envelope + item.name.length + (item.target?.length ?? 0) : envelope;
}

function endOf(isChanged: boolean, failure: string | undefined): InventoryItem {
  if (isChanged) return { type: 'end', state: 'changed' };
  return failure === undefined
    ? { type: 'end', state: 'whole' }
    : { type: 'end', state: 'unreadable', reason: failure };
}
