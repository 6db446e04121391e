/** The last bytes of a stream that may never end: bounded memory, whole lines at its start. */
export class Tail {
  readonly #bytesMax: number;
  #kept: Uint8Array = new Uint8Array(0);
  #isCut = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  append(chunk: Uint8Array): void {
    const joined = Buffer.concat([this.#kept, chunk]);
    this.#isCut ||= joined.length > this.#bytesMax;
    // A copy: a view would hold on to every chunk's whole buffer.
    this.#kept = Uint8Array.from(joined.subarray(Math.max(0, joined.length - this.#bytesMax)));
  }

  /** What is kept, as text without trailing blanks; after a cut it begins with the first whole line. */
  text(): string {
    const text = Buffer.from(this.#kept).toString('utf8').trimEnd();
    const lineEnd = text.indexOf('\n');
    return this.#isCut && lineEnd >= 0 ? text.slice(lineEnd + 1) : text;
  }
}
