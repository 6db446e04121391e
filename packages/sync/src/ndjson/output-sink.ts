import type { Writable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import type { Sink, SinkState, TableRecord } from '../sink.ts';
import { afterAbort } from './after-abort.ts';
import { linesLimits } from './limits.ts';
import { LineBytes } from './line-bytes.ts';
import { type Commit, commitLine, helloLine, rollbackLine } from './lines.ts';
import { type LinesTarget, OwnedLines } from './owned-lines.ts';

const nothingHeld: SinkState = { position: undefined, isOpen: false, tables: new Map() };

/**
 * Lines to standard output, at least once: nobody says what has become of them, so each run begins with a dump. A line is acknowledged to the source when
 * the operating system has it.
 */
export function ndjsonOutputSink(options: { readonly output: Writable; readonly source: string }): Sink {
  const { output, source } = options;
  let broken: Error | undefined;
  // Without a listener it would end the process, also when nothing is being written.
  output.on('error', (error) => {
    broken ??= error;
  });
  return {
    address: 'ndjson:-',
    own(signal) {
      const target = new OutputTarget(output, () => broken, signal);
      target.add(helloLine(source));
      return Promise.resolve(new OwnedLines(target, target, nothingHeld, new AbortController().signal));
    },
  };
}

class OutputTarget implements LinesTarget {
  readonly #output: Writable;
  readonly #broken: () => Error | undefined;
  readonly #ended: Disposable;
  readonly #lines = new LineBytes();
  /** Lines were told since the last commit. */
  #isInside = false;
  /** The write that is under way is waited for no longer. */
  #giveUp: () => void = () => {};

  constructor(output: Writable, broken: () => Error | undefined, signal: AbortSignal) {
    this.#output = output;
    this.#broken = broken;
    this.#ended = afterAbort(signal, linesLimits.endMsMax, () => this.#giveUp());
  }

  add(text: string): void {
    this.#lines.add(text);
    this.#isInside = true;
  }

  addBytes(bytes: Buffer): void {
    this.#lines.addBytes(bytes);
    this.#isInside = true;
  }

  commit(commit: Commit, _changed: ReadonlyMap<string, TableRecord | null>): void {
    this.#lines.add(commitLine(commit));
    this.#isInside = false;
  }

  async flush(): Promise<void> {
    const bytes = this.#lines.take();
    if (bytes.length > 0) await this.#write(bytes);
  }

  async rollBack(): Promise<void> {
    if (!this.#isInside) return;
    this.#isInside = false;
    this.#lines.clear();
    this.#lines.add(rollbackLine);
    await this.flush();
  }

  /** Resolves when the operating system has it. */
  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(outputError(error));
      const broken = this.#broken();
      if (broken !== undefined) {
        fail(broken);
        return;
      }
      this.#giveUp = () =>
        reject(new BatonError('INTERRUPTED', 'whoever reads standard output has not done so in time'));
      this.#output.write(bytes, (error) => {
        if (error) fail(error);
        else resolve();
      });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ended[Symbol.dispose]();
    return Promise.resolve();
  }
}

function outputError(error: Error): BatonError {
  const isClosed = 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED');
  return new BatonError(
    'CONNECTION_LOST',
    isClosed ? 'whoever read standard output has closed it' : `standard output cannot be written: ${error.message}`,
    { cause: error },
  );
}
