import { limits } from '@batondb/core/limits';
import { preamble } from '../control/messages.ts';

// The lines that a script of the far side says, among whatever its login prints: `BATON-TOKEN KIND WORDS`.

/** One line of a script. */
export type FarReport = { readonly kind: string; readonly text: string };

/** The output of a script: its reports, and after them what an agent says. */
export class FarOutput {
  readonly #chunks: AsyncIterator<Buffer, void>;
  readonly #mark: string;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(output: AsyncIterable<Buffer, void>, token: string) {
    this.#chunks = output[Symbol.asyncIterator]();
    this.#mark = `BATON-${token} `;
  }

  /** Reports until an agent speaks, the output ends, or more was printed than a login may print. */
  async *reports(): AsyncGenerator<FarReport, void> {
    for (;;) {
      for (let report = this.#take(); report !== undefined; report = this.#take()) yield report;
      if (this.#buffered.includes(preamble) || this.#buffered.byteLength > limits.preambleBytesMax) return;
      const next = await this.#chunks.next();
      if (next.done === true) return;
      this.#buffered = Buffer.concat([this.#buffered, next.value]);
    }
  }

  /** The bytes after the last report. */
  async *rest(): AsyncGenerator<Buffer, void> {
    if (this.#buffered.byteLength > 0) yield this.#buffered;
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return;
      yield next.value;
    }
  }

  #take(): FarReport | undefined {
    const start = this.#buffered.indexOf(this.#mark);
    const end = start < 0 ? -1 : this.#buffered.indexOf('\n', start);
    if (end < 0) return undefined;
    const line = this.#buffered.toString('utf8', start + this.#mark.length, end);
    this.#buffered = this.#buffered.subarray(end + 1);
    const blank = line.indexOf(' ');
    return blank < 0 ? { kind: line, text: '' } : { kind: line.slice(0, blank), text: line.slice(blank + 1) };
  }
}
