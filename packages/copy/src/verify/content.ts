import { zeroUnitDigest } from '@batondb/core/files/digest-file';
import { limits } from '@batondb/core/limits';
import type { Cursor, DigestRun, FileEnd } from './cursor.ts';
import type { FilePart } from './events.ts';

/** Units that are named of one file; the rest is counted. */
const unitsNamed = 10;
const digestLength = zeroUnitDigest.length;

export type ContentComparison = {
  readonly units: { readonly first: readonly FilePart[]; readonly total: number };
  readonly source: FileEnd;
  readonly target: FileEnd;
};

/**
 * Compares the files both cursors stand on, digest by digest. Of files of two sizes only the units that are whole in both
 * are compared: that the rest differs is in the sizes.
 */
export async function compareContent(
  source: Cursor,
  target: Cursor,
  sourceBytes: number,
  targetBytes: number,
): Promise<ContentComparison> {
  const commonBytes = Math.min(sourceBytes, targetBytes);
  const isSameSize = sourceBytes === targetBytes;
  const units = Math.ceil(commonBytes / limits.unitBytes);
  const compared = isSameSize ? units : Math.floor(commonBytes / limits.unitBytes);
  const [a, b] = [new Runs(source), new Runs(target)];
  const first: FilePart[] = [];
  let total = 0;
  for (let unit = 0; unit < compared; ) {
    await Promise.all([a.fill(), b.fill()]);
    const count = Math.min(a.left, b.left, compared - unit);
    // Without content there are no digests, and nothing to compare.
    if (count === 0) break;
    const differing = a.differingFrom(b, count);
    total += differing.total;
    for (const index of differing.first) if (first.length < unitsNamed) first.push(partOf(unit + index, commonBytes));
    a.take(count);
    b.take(count);
    unit += count;
  }
  const [sourceEnd, targetEnd] = await Promise.all([a.end(), b.end()]);
  return { units: { first, total }, source: sourceEnd, target: targetEnd };
}

function partOf(unit: number, sizeBytes: number): FilePart {
  const offset = unit * limits.unitBytes;
  return { offset, length: Math.min(limits.unitBytes, sizeBytes - offset) };
}

/** The digests of the file a cursor stands on. */
class Runs {
  readonly #cursor: Cursor;
  #run: DigestRun | FileEnd = { digests: '', isRepeated: false, count: 0 };
  #at = 0;

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  get left(): number {
    return 'count' in this.#run ? this.#run.count - this.#at : 0;
  }

  async fill(): Promise<void> {
    while (this.left === 0 && 'count' in this.#run) {
      this.#run = await this.#cursor.read();
      this.#at = 0;
    }
  }

  async end(): Promise<FileEnd> {
    while ('count' in this.#run) this.#run = await this.#cursor.read();
    return this.#run;
  }

  take(count: number): void {
    this.#at += count;
  }

  /** Which of the next `count` digests are not those of another one: the first few, and how many. */
  differingFrom(other: Runs, count: number): { readonly first: readonly number[]; readonly total: number } {
    // Two runs of one digest each may be longer than anybody should count.
    if (this.#isRepeated && other.#isRepeated) {
      const isSame = this.#digestAt(0) === other.#digestAt(0);
      const first = Array.from({ length: Math.min(count, unitsNamed) }, (_, index) => index);
      return isSame ? { first: [], total: 0 } : { first, total: count };
    }
    const first: number[] = [];
    let total = 0;
    for (let index = 0; index < count; index++) {
      if (this.#digestAt(index) === other.#digestAt(index)) continue;
      total += 1;
      if (first.length < unitsNamed) first.push(index);
    }
    return { first, total };
  }

  get #isRepeated(): boolean {
    return 'count' in this.#run && this.#run.isRepeated;
  }

  #digestAt(index: number): string {
    if (!('count' in this.#run)) return '';
    const start = this.#run.isRepeated ? 0 : (this.#at + index) * digestLength;
    return this.#run.digests.slice(start, start + digestLength);
  }
}
