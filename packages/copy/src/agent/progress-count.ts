import { decodeUnit } from '@batondb/core/protocol/unit';
import type { HaveSet } from '@batondb/core/transfer/have';
import type { Layout } from '@batondb/core/transfer/layout';
import type { SharedUnit } from '@batondb/core/transport/unit-buffers';

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
    for (const unit of have.units()) this.#count(unit, this.#layout?.unitBytes(unit) ?? 0);
    this.resumedBytes = this.doneBytes;
  }

  /** A unit has come. */
  add(unit: number, message: SharedUnit | undefined): void {
    // Only of a stream does the layout not know how long a unit is.
    const isOpenEnded = this.#layout?.isStream && message !== undefined;
    const bytes = isOpenEnded ? decodeUnit(message.payload).rawLength : this.#layout?.unitBytes(unit);
    this.#count(unit, bytes ?? 0);
  }

  #count(unit: number, bytes: number): void {
    this.doneBytes += bytes;
    this.doneFiles += this.#layout?.filesBegun(unit) ?? 0;
  }
}
