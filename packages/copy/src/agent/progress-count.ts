import type { HaveSet } from '@batondb/core/transfer/have';
import type { Layout } from '@batondb/core/transfer/layout';

/** How far a target is, counted unit by unit. */
export class ProgressCount {
  totalBytes = 0;
  totalFiles = 0;
  doneBytes = 0;
  doneFiles = 0;
  resumedBytes = 0;
  /** Bytes read again in the phase that runs: what an earlier run left, or the whole copy from the disk. */
  rereadBytes = 0;
  #layout: Layout | undefined;

  /** The whole is known. */
  start(layout: Layout): void {
    this.#layout = layout;
    this.totalBytes = layout.contentBytes;
    this.totalFiles = layout.fileCount;
  }

  /** What was there from an earlier run. */
  resumed(have: HaveSet): void {
    for (const unit of have.units()) this.add(unit);
    this.resumedBytes = this.doneBytes;
  }

  add(unit: number): void {
    this.doneBytes += this.#layout?.unitBytes(unit) ?? 0;
    this.doneFiles += this.#layout?.filesBegun(unit) ?? 0;
  }
}
