import { formatBytes, formatDuration, formatRate } from '@batondb/core/text/format';
import type { Output } from '../output.ts';
import { jsonLine } from '../render/json.ts';
import { plainProgressLine, progressBlock } from '../render/progress.ts';
import { Screen } from '../render/screen.ts';
import { restoreCursor } from '../render/terminal.ts';
import type { SqliteContext } from './context.ts';

// How far a file has come on its way, as `baton copy` shows it: one line rewritten at a terminal, a line now and then in a log, events as JSON.

/** How often a person's line changes. */
const redrawMs = 200;
/** A log wants to know that it goes on, not every second of it. */
const logMs = 10_000;

/** What a transfer came to, for its last line. */
export type Transferred = { readonly bytes: number; readonly position: string };

/** The progress of one transfer. */
export class TransferProgress implements Disposable {
  readonly #name: string;
  readonly #isJson: boolean;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #screen: Screen | undefined;
  readonly #startMs = performance.now();
  #toldMs = this.#startMs;
  #writing: Promise<void> = Promise.resolve();

  /** `name`: what is on its way, for people. */
  constructor(name: string, isJson: boolean, { stdout, stderr, environment }: SqliteContext) {
    this.#name = name;
    this.#isJson = isJson;
    this.#stdout = stdout;
    this.#stderr = stderr;
    const canRewrite = !isJson && stderr.isTerminal && environment['TERM'] !== 'dumb';
    this.#screen = canRewrite ? new Screen() : undefined;
    if (canRewrite) process.on('exit', restoreCursor);
  }

  /** Takes how many bytes have gone over. */
  readonly note = (doneBytes: number, totalBytes: number): void => {
    const nowMs = performance.now();
    const isDue = nowMs - this.#toldMs >= (this.#screen === undefined && !this.#isJson ? logMs : redrawMs);
    if (!isDue) return;
    this.#toldMs = nowMs;
    const rate = (doneBytes / Math.max(1, nowMs - this.#startMs)) * 1000;
    const etaSeconds = rate > 0 ? (totalBytes - doneBytes) / rate : undefined;
    const files = { doneFiles: 0, totalFiles: 1 };
    const bytes = { doneBytes, totalBytes, rateBytesPerSecond: rate, etaSeconds };
    const progress = { target: this.#name, phase: 'receiving', ...files, ...bytes } as const;
    // What cannot be written as fast as it comes is left out rather than kept.
    this.#writing = this.#writing.then(async () => {
      if (this.#isJson) await this.#stdout.writeLines([jsonLine({ type: 'progress', ...bytes }, Date.now())]);
      else if (this.#screen === undefined) await this.#stderr.writeLines([plainProgressLine(progress)]);
      else
        await this.#stderr.write(
          this.#screen.draw([], progressBlock([progress], this.#stderr.size.columns - 1, 1, { hasColor: false })),
        );
    });
  };

  /** Says that it is done. `what` begins the line for people. */
  async done(what: string, { bytes, position }: Transferred): Promise<void> {
    await this.#writing;
    this[Symbol.dispose]();
    const durationMs = performance.now() - this.#startMs;
    const rate = durationMs > 0 ? `, ${formatRate(bytes / (durationMs / 1000))}` : '';
    const line = `${what}: ${formatBytes(bytes)} at position ${position} in ${formatDuration(durationMs)}${rate}`;
    const event = { type: 'done', bytes, position, durationMs: Math.round(durationMs) };
    await this.#stdout.writeLines([this.#isJson ? jsonLine(event, Date.now()) : line]);
  }

  [Symbol.dispose](): void {
    if (this.#screen === undefined) return;
    void this.#stderr.write(this.#screen.end());
    process.off('exit', restoreCursor);
  }
}
