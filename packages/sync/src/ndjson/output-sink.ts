import type { Writable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import type { Sink, SinkState, TableRecord } from '../sink.ts';
import { type Commit, commitLine, helloLine, rollbackLine } from './lines.ts';
import { type LinesTarget, OwnedLines } from './owned-lines.ts';

export const nothingHeld: SinkState = { position: undefined, isOpen: false, tables: new Map() };

/**
 * Lines to standard output, at least once: nobody says what has become of them, so each run begins with a dump. A line is acknowledged to the source when
 * the operating system has it.
 */
export function ndjsonOutputSink(options: { readonly output: Writable; readonly source: string }): Sink {
  return {
    address: 'ndjson:-',
    own() {
      const target = new OutputTarget(options.output);
      target.add(helloLine(options.source));
      return Promise.resolve(new OwnedLines(target, target, nothingHeld, new AbortController().signal));
    },
  };
}

class OutputTarget implements LinesTarget {
  readonly #output: Writable;
  #waiting: string[] = [];
  /** Lines were told since the last commit. */
  #isInside = false;
  #failure: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
  };

  constructor(output: Writable) {
    this.#output = output;
    output.on('error', this.#onError);
  }

  add(text: string): void {
    this.#waiting.push(text);
    this.#isInside = true;
  }

  commit(commit: Commit, _changed: ReadonlyMap<string, TableRecord | null>): void {
    this.#waiting.push(commitLine(commit));
    this.#isInside = false;
  }

  async flush(): Promise<void> {
    const text = this.#waiting.join('');
    this.#waiting = [];
    if (text === '') return;
    await writeText(this.#output, text, this.#failure);
  }

  async rollBack(): Promise<void> {
    if (!this.#isInside) return;
    this.#isInside = false;
    this.#waiting = [rollbackLine];
    await this.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#output.off('error', this.#onError);
    return Promise.resolve();
  }
}

/** Resolves when the operating system has it. */
function writeText(output: Writable, text: string, failure: Error | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(outputError(error));
    if (failure !== undefined) fail(failure);
    else {
      output.write(text, (error) => {
        if (error) fail(error);
        else resolve();
      });
    }
  });
}

function outputError(error: Error): BatonError {
  const isClosed = 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED');
  return new BatonError(
    'CONNECTION_LOST',
    isClosed ? 'whoever read standard output has closed it' : `standard output cannot be written: ${error.message}`,
    { cause: error },
  );
}
