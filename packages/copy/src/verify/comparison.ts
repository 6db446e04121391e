import { toErrorRecord } from '@batondb/core/errors';
import type { InventoryItem } from '../control/inventory.ts';
import { Cursor } from './cursor.ts';
import type { Difference, SideProgress, VerifyEvent, VerifyResult, VerifySummary } from './events.ts';
import { compareTrees } from './merge.ts';
import type { Ignorable, VerifyOptions } from './options.ts';
import type { Outlet } from './outlet.ts';
import type { ReadyComparison, ReadyCopy } from './preflight.ts';
import { type Reader, SharedStream } from './shared-stream.ts';
import type { Side } from './side.ts';

const progressMs = 500;

/** Compares the source, read once, with every target at the same time. */
export class Comparison {
  readonly #sourceText: string;
  readonly #ready: ReadyComparison;
  readonly #content: boolean;
  readonly #ignored: ReadonlySet<string>;
  readonly #outlet: Outlet<VerifyEvent>;
  readonly #startedMs = performance.now();

  constructor(sourceText: string, ready: ReadyComparison, options: VerifyOptions, outlet: Outlet<VerifyEvent>) {
    this.#sourceText = sourceText;
    this.#ready = ready;
    this.#content = !options.quick;
    this.#ignored = new Set<Ignorable>(options.ignore);
    this.#outlet = outlet;
  }

  /** To the end of all targets. */
  async run(): Promise<VerifySummary> {
    const { source, targets } = this.#ready;
    const shared = new SharedStream(() => source.pull(), targets.length);
    const timer = setInterval(() => this.#outlet.offer(this.#progress()), progressMs);
    try {
      const results = await Promise.all(targets.map((copy, index) => this.#target(copy, shared.reader(index))));
      const { entries, files, bytes } = source.done;
      const durationMs = Math.round(performance.now() - this.#startedMs);
      return { source: this.#sourceText, entries, files, bytes, durationMs, targets: results };
    } finally {
      clearInterval(timer);
    }
  }

  async #target(copy: ReadyCopy, reader: Reader<readonly InventoryItem[]>): Promise<VerifyResult> {
    const result = await this.#compare(copy, reader);
    reader.leave();
    await this.#outlet.put({ type: 'target-compared', result });
    return result;
  }

  async #compare({ target, path, side }: ReadyCopy, reader: Reader<readonly InventoryItem[]>): Promise<VerifyResult> {
    let differences = 0;
    let unknown = 0;
    try {
      const ours = new Cursor(reader.next, this.#content);
      const theirs = new Cursor(() => side.pull(), this.#content);
      for await (const difference of compareTrees(ours, theirs)) {
        if (this.#ignored.has(difference.what)) continue;
        if (isUnknown(difference)) unknown += 1;
        else differences += 1;
        await this.#outlet.put({ type: 'difference', target, difference });
      }
      const state = differences > 0 ? 'different' : unknown > 0 ? 'incomplete' : 'same';
      return { target, path, state, differences, unknown };
    } catch (error) {
      side.state = 'failed';
      return { target, path, state: 'failed', differences, unknown, error: toErrorRecord(error) };
    }
  }

  #progress(): VerifyEvent {
    const { source, targets } = this.#ready;
    const sides = [
      this.#sideProgress(this.#sourceText, source),
      ...targets.map(({ target, side }) => this.#sideProgress(target, side)),
    ];
    return { type: 'verify-progress', sides };
  }

  /** A target is measured by the source's total: that is what it should have. */
  #sideProgress(name: string, { done, state, rate }: Side): SideProgress {
    const { totals } = this.#ready.source;
    const rateBytesPerSecond = rate.bytesPerSecond();
    const left = totals === undefined ? undefined : Math.max(0, totals.bytes - done.bytes);
    return {
      side: name,
      state,
      doneEntries: done.entries,
      doneFiles: done.files,
      doneBytes: done.bytes,
      totalFiles: totals?.files,
      totalBytes: totals?.bytes,
      rateBytesPerSecond,
      etaSeconds: left === undefined || rateBytesPerSecond <= 0 ? undefined : left / rateBytesPerSecond,
    };
  }
}

function isUnknown({ what }: Difference): boolean {
  return what === 'changed-meanwhile' || what === 'unreadable';
}
