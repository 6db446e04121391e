import type { FileLayer, LayerFile } from '../log/file-layer.ts';

// Journals, sorters and temporary databases: in memory while they are small, in a file without a name from then on.

const blockBytes = 65_536;

/** Where temporary files go when they grow. */
export type SpillPlace = { readonly layer: FileLayer; readonly directory: string; readonly memoryBytes: number };

/** A file that nobody else sees and that no crash leaves behind. */
export class TemporaryFile implements Disposable {
  readonly #place: SpillPlace;
  #blocks: Buffer[] = [];
  #size = 0;
  #spilled: LayerFile | undefined;

  constructor(place: SpillPlace) {
    this.#place = place;
  }

  get size(): number {
    return this.#size;
  }

  /** Reads into `into`, with zeros behind the end. Returns how many bytes there were. */
  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    if (this.#spilled !== undefined) this.#spilled.read(into.subarray(0, count), offset);
    else {
      for (let done = 0; done < count; ) {
        const at = offset + done;
        const block = this.#blocks[Math.floor(at / blockBytes)]!;
        const start = at % blockBytes;
        const length = Math.min(count - done, blockBytes - start);
        into.set(block.subarray(start, start + length), done);
        done += length;
      }
    }
    into.fill(0, count);
    return count;
  }

  write(content: Uint8Array, offset: number): void {
    const end = offset + content.length;
    if (this.#spilled === undefined && end > this.#place.memoryBytes) this.#spill();
    if (this.#spilled !== undefined) this.#spilled.write(content, offset);
    else {
      while (this.#blocks.length * blockBytes < end) this.#blocks.push(Buffer.alloc(blockBytes));
      for (let done = 0; done < content.length; ) {
        const at = offset + done;
        const start = at % blockBytes;
        const part = content.subarray(done, done + blockBytes - start);
        this.#blocks[Math.floor(at / blockBytes)]!.set(part, start);
        done += part.length;
      }
    }
    this.#size = Math.max(this.#size, end);
  }

  truncate(bytes: number): void {
    if (bytes === 0) return this[Symbol.dispose]();
    if (this.#spilled !== undefined) this.#spilled.truncate(bytes);
    else {
      this.#blocks.length = Math.min(this.#blocks.length, Math.ceil(bytes / blockBytes));
      // What was cut off must not be seen again when the file grows.
      if (bytes % blockBytes !== 0) this.#blocks.at(-1)?.fill(0, bytes % blockBytes);
    }
    this.#size = bytes;
  }

  /** Gives memory and file back. */
  [Symbol.dispose](): void {
    this.#spilled?.close();
    this.#spilled = undefined;
    this.#blocks.length = Math.min(this.#blocks.length, 1);
    this.#blocks[0]?.fill(0);
    this.#size = 0;
  }

  #spill(): void {
    const file = this.#place.layer.openTemporary(this.#place.directory);
    try {
      for (const [index, block] of this.#blocks.entries()) file.write(block, index * blockBytes);
    } catch (error) {
      file.close();
      throw error;
    }
    this.#spilled = file;
    this.#blocks = [];
  }
}
