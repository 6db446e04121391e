const lineFeed = 0x0a;

/**
 * Cuts a stream of bytes into lines of text (UTF-8), without their ends. A line longer than `lineBytesMax` is told once, cut
 * off, and the rest of it dropped: memory stays bounded whatever a program prints.
 */
export class Lines {
  readonly #lineBytesMax: number;
  readonly #onLine: (line: string) => void;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(lineBytesMax: number, onLine: (line: string) => void) {
    this.#lineBytesMax = lineBytesMax;
    this.#onLine = onLine;
  }

  append(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#tell();
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** The stream has ended: a last line without an end is a line too. */
  end(): void {
    if (this.#bytes > 0) this.#tell();
  }

  #keep(part: Uint8Array): void {
    const kept = part.subarray(0, this.#lineBytesMax - this.#bytes);
    if (kept.length === 0) return;
    // A copy: the chunk's buffer may be used again by whoever gave it.
    this.#parts.push(Uint8Array.from(kept));
    this.#bytes += kept.length;
  }

  #tell(): void {
    const line = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}
