import { join } from 'node:path';
import { assert } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { FileLayer, LayerFile } from './file-layer.ts';

// The files of a log: segments by generation, and spare ones. A spare segment is either full of zeros or of records of an older
// generation; both mean the same, since a record counts only in the generation that it names.

const segmentName = /^([0-9a-f]{12})\.segment$/;
const spareName = /^spare-(\d+)$/;
const fillBytes = 1_048_576;

/** The path of a segment. */
export function segmentPath(directory: string, generation: number): string {
  return join(directory, `${generation.toString(16).padStart(12, '0')}.segment`);
}

/** How segments are kept. `lasts`: what is in them has to survive the machine, and so their names and zeros have to. */
export type SegmentOptions = { readonly segmentBytes: number; readonly lasts: boolean };

/** Numbers of the segments in a directory, ascending. */
export function segmentNumbers(layer: FileLayer, directory: string): number[] {
  return layer
    .list(directory)
    .flatMap((name) => segmentName.exec(name)?.[1] ?? [])
    .map((hexadecimal) => Number.parseInt(hexadecimal, 16))
    .sort((a, b) => a - b);
}

/** The segments of one directory, and the one that is written to. */
export class SegmentFiles {
  readonly segmentBytes: number;
  readonly #lasts: boolean;
  readonly #layer: FileLayer;
  readonly #directory: string;
  readonly #generations: number[];
  readonly #spares: string[];
  #active: LayerFile | undefined;
  #spareCount: number;
  #isPreparing = false;

  private constructor(layer: FileLayer, directory: string, { segmentBytes, lasts }: SegmentOptions) {
    this.segmentBytes = segmentBytes;
    this.#lasts = lasts;
    this.#layer = layer;
    this.#directory = directory;
    this.#generations = segmentNumbers(layer, directory);
    const names = layer.list(directory);
    this.#spares = names.filter((name) => spareName.test(name)).map((name) => join(directory, name));
    this.#spareCount = names.reduce((highest, name) => Math.max(highest, Number(spareName.exec(name)?.[1] ?? 0)), 0);
    // A spare that a crash left half filled cannot be told from a whole one by its name.
    for (const path of this.#spares.splice(0)) layer.remove(path);
    const last = this.#generations.at(-1);
    if (last !== undefined) this.#active = layer.open(segmentPath(directory, last), 'write');
  }

  static open(layer: FileLayer, directory: string, options: SegmentOptions): SegmentFiles {
    layer.makeDirectory(directory);
    return new SegmentFiles(layer, directory, options);
  }

  /** The same without what was there. When this returns it is gone for good. */
  static openEmpty(layer: FileLayer, directory: string, options: SegmentOptions): SegmentFiles {
    layer.makeDirectory(directory);
    for (const name of layer.list(directory)) if (segmentName.test(name)) layer.remove(join(directory, name));
    layer.syncDirectory(directory);
    return new SegmentFiles(layer, directory, options);
  }

  /** Numbers of the segments that hold entries, ascending. */
  get generations(): readonly number[] {
    return this.#generations;
  }

  /** Number of the segment that is written to, 0 before the first one. */
  get generation(): number {
    return this.#generations.at(-1) ?? 0;
  }

  get active(): LayerFile {
    assert(this.#active !== undefined, 'L5: there is a segment to write to');
    return this.#active;
  }

  /** Begins the next segment. Its name lasts before anything is written to it. Throws when there is no space for one. */
  next(): void {
    const spare = this.#spares.pop() ?? this.#fill();
    const generation = this.generation + 1;
    const path = segmentPath(this.#directory, generation);
    this.#layer.rename(spare, path);
    if (this.#lasts) this.#layer.syncDirectory(this.#directory);
    this.#active?.close();
    this.#active = this.#layer.open(path, 'write');
    this.#generations.push(generation);
  }

  /** Takes a segment whose entries are not needed, which is not the active one: it will be a later one. */
  retire(generation: number): void {
    assert(generation < this.generation, 'L7: the segment that is written to is never retired');
    const path = segmentPath(this.#directory, generation);
    this.#generations.splice(this.#generations.indexOf(generation), 1);
    if (this.#spares.length >= limits.spareSegmentsMax) {
      this.#layer.remove(path);
      return;
    }
    const spare = this.#sparePath();
    this.#layer.rename(path, spare);
    this.#spares.push(spare);
  }

  /** Makes a spare segment unless there is one, in pieces, so that the thread can do other things meanwhile. */
  async prepare(): Promise<void> {
    if (this.#spares.length > 0 || this.#isPreparing) return;
    this.#isPreparing = true;
    try {
      this.#spares.push(await this.#fillSlowly());
    } finally {
      this.#isPreparing = false;
    }
  }

  async #fillSlowly(): Promise<string> {
    const path = this.#sparePath();
    const file = this.#layer.open(path, 'create');
    try {
      for (const offset of this.#pieces()) {
        file.write(new Uint8Array(Math.min(fillBytes, this.segmentBytes - offset)), offset);
        await new Promise(setImmediate);
      }
      if (this.#lasts) await file.syncSoon();
      return path;
    } catch (error) {
      // On a full disk every attempt would leave some.
      this.#layer.remove(path);
      throw error;
    } finally {
      file.close();
    }
  }

  close(): void {
    this.#active?.close();
    this.#active = undefined;
  }

  #fill(): string {
    const path = this.#sparePath();
    const file = this.#layer.open(path, 'create');
    try {
      for (const offset of this.#pieces())
        file.write(new Uint8Array(Math.min(fillBytes, this.segmentBytes - offset)), offset);
      if (this.#lasts) file.sync();
      return path;
    } catch (error) {
      this.#layer.remove(path);
      throw error;
    } finally {
      file.close();
    }
  }

  *#pieces(): Generator<number> {
    for (let offset = 0; offset < this.segmentBytes; offset += fillBytes) yield offset;
  }

  #sparePath(): string {
    this.#spareCount += 1;
    return join(this.#directory, `spare-${this.#spareCount}`);
  }
}
