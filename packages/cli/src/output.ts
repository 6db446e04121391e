import type { WriteStream } from 'node:tty';
import { exitCodes } from './exit-codes.ts';
import type { Interruption } from './interruption.ts';

/** A standard stream that is written with backpressure and never ends the process by an unhandled error. */
export class Output {
  readonly #stream: WriteStream;
  #isLost = false;

  /** A stream that nobody reads any more ends the command: `baton copy --json … | head -1`. */
  constructor(stream: WriteStream, interruption: Interruption | undefined) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#isLost = true;
      // A terminal that is gone shows itself here, too, and a shell that does not pass SIGHUP on leaves it at that.
      if (error.code === 'EIO' && this.isTerminal) interruption?.interrupt('the terminal was lost', exitCodes.hangup);
      else interruption?.interrupt(`the output was closed (${error.code ?? error.message})`, exitCodes.pipeClosed);
    });
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Columns and rows of the terminal; a common size where it tells none. */
  get size(): { columns: number; rows: number } {
    return { columns: this.#stream.columns || 80, rows: this.#stream.rows || 24 };
  }

  /** Resolves when the text has been handed to the system, or the stream is lost. */
  write(text: string): Promise<void> {
    if (this.#isLost || text === '') return Promise.resolve();
    return new Promise((resolve) => this.#stream.write(text, () => resolve()));
  }

  async writeLines(lines: readonly string[]): Promise<void> {
    await this.write(lines.map((line) => `${line}\n`).join(''));
  }
}
