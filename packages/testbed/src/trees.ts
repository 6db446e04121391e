// Trees of ordinary files, made from a seed: large ones and many small ones.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from './random.ts';

const pageBytes = 16 * 1024;
const blockBytes = 1024 * 1024;

/** Large files to make. */
export type LargeFilesOptions = {
  readonly files: number;
  readonly bytesEach: number;
  /** Share of the content that a compressor shrinks to about a fifth: 0 to 1. Default: 0.5. */
  readonly compressible?: number;
  readonly seed?: number;
};

/** Fills a page like a database's: rows that resemble each other, with numbers that do not, and free space at its end. */
function fillPage(page: Buffer, random: Random): void {
  page.fill(0);
  let offset = 38;
  const used = Math.floor(page.length * (0.7 + 0.25 * random.fraction()));
  for (let row = random.integer(1, 1_000_000); offset < used; row++) {
    const text = `${row}\tcustomer-${row % 977}\t2024-0${1 + (row % 9)}-1${row % 9}\t${random.word()}\tdelivered to the warehouse\n`;
    offset += page.write(text, offset, 'latin1');
  }
}

/** Fills a buffer of up to some MiB; `compressible` is decided anew for every page of 16 KiB. */
function fillContent(buffer: Buffer, random: Random, compressible: number): void {
  for (let offset = 0; offset < buffer.length; offset += pageBytes) {
    const page = buffer.subarray(offset, Math.min(offset + pageBytes, buffer.length));
    if (random.fraction() < compressible) fillPage(page, random);
    else random.fill(page);
  }
}

/** Writes `large-0`, `large-1`… into a directory, which is made when it does not exist. The same seed gives the same bytes. */
export function makeLargeFiles(directory: string, options: LargeFilesOptions): void {
  mkdirSync(directory, { recursive: true });
  const block = Buffer.alloc(blockBytes);
  for (let index = 0; index < options.files; index++) {
    const random = new Random(options.seed ?? 1).fork(`large ${index}`);
    const file = openSync(join(directory, `large-${index}`), 'wx');
    try {
      for (let offset = 0; offset < options.bytesEach; offset += blockBytes) {
        const part = block.subarray(0, Math.min(blockBytes, options.bytesEach - offset));
        fillContent(part, random, options.compressible ?? 0.5);
        writeSync(file, part, 0, part.length, offset);
      }
    } finally {
      closeSync(file);
    }
  }
}

/** Small files to make. */
export type SmallFilesOptions = {
  /** Average size. Default: 7,000. */
  readonly bytes?: number;
  readonly seed?: number;
  /** Files per directory. Default: 100. */
  readonly perDirectory?: number;
};

/** Writes `count` small files into nested directories (`3/17/file-1742`): some empty, a few ten times the average. */
export function makeSmallFiles(directory: string, count: number, options: SmallFilesOptions = {}): void {
  const random = new Random(options.seed ?? 1).fork('small');
  const average = options.bytes ?? 7000;
  const perDirectory = options.perDirectory ?? 100;
  const buffer = Buffer.alloc(average * 10);
  let current = '';
  for (let index = 0; index < count; index++) {
    const group = Math.floor(index / perDirectory);
    const below = join(directory, String(group % 10), String(group));
    if (below !== current) mkdirSync(below, { recursive: true });
    current = below;
    // 2 % empty, 3 % ten times the average, the rest spread evenly around what makes the average come out.
    const kind = random.fraction();
    const sizeBytes =
      kind < 0.02 ? 0 : kind < 0.05 ? average * 10 : Math.floor((random.fraction() * 2 * average * 0.7) / 0.95);
    const content = buffer.subarray(0, sizeBytes);
    fillContent(content, random, 0.6);
    writeFileSync(join(below, `file-${index}`), content);
  }
}
