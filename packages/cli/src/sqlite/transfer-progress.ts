import { formatBytes, formatDuration, formatRate } from '@batondb/core/text/format';
import type { Output } from '../output.ts';
import { jsonLine } from '../render/json.ts';
import { plainProgressLine, progressBlock } from '../render/progress.ts';
import { Screen } from '../render/screen.ts';
import { restoreCursor } from '../render/terminal.ts';
import type { CommandContext } from '../service/context.ts';

// How far a file has come on its way, as `baton copy` shows it: one line rewritten at a terminal, a line now and then in a log, events as JSON.

/** How often a person's line changes. */
const redrawMs = 200;
/** A log wants to know that it goes on, not every second of it. */
const logMs = 10_000;

/** What a transfer came to, for its last line. */
export type Transferred = { readonly bytes: number; readonly position: string };

/** How it is told. */
export type ProgressForm = {
  readonly isJson: boolean;
  /** The type of its events. Default: `progress`. A node that joins says something at once. */
  readonly event?: 'progress' | 'joining';
  /** Takes lines where nothing can be rewritten. Default: standard error. */
  readonly write?: (line: string) => void;
};

/** The progress of one transfer. */
export class TransferProgress implements Disposable {
  readonly #name: string;
  readonly #isJson: boolean;
  readonly #event: string;
  readonly #write: ((line: string) => void) | undefined;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #screen: Screen | undefined;
  readonly #startMs = performance.now();
  #toldMs: number;
  /** When the last byte had gone over: then it is compared. */
  #wholeMs: number | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `name`: what is on its way, for people. */
  constructor(name: string, form: ProgressForm, { stdout, stderr, environment }: CommandContext) {
    const { isJson, event = 'progress', write } = form;
    this.#name = name;
    this.#isJson = isJson;
    this.#event = event;
    this.#write = write;
    this.#toldMs = event === 'joining' ? Number.NEGATIVE_INFINITY : this.#startMs;
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
    const isWhole = totalBytes > 0 && doneBytes >= totalBytes;
    if (isWhole) this.#wholeMs ??= nowMs;
    const rate = (doneBytes / Math.max(1, (this.#wholeMs ?? nowMs) - this.#startMs)) * 1000;
    const etaSeconds = rate > 0 ? (totalBytes - doneBytes) / rate : undefined;
    const files = { doneFiles: 0, totalFiles: 0 };
    const bytes = { doneBytes, totalBytes, rateBytesPerSecond: rate, etaSeconds };
    const phase = isWhole ? 'verifying' : 'receiving';
    const progress = { target: this.#name, phase, ...files, ...bytes } as const;
    // What cannot be written as fast as it comes is left out rather than kept.
    this.#writing = this.#writing.then(async () => {
      if (this.#isJson) await this.#stdout.writeLines([jsonLine({ type: this.#event, ...bytes }, Date.now())]);
      else if (this.#screen !== undefined)
        await this.#stderr.write(
          this.#screen.draw([], progressBlock([progress], this.#stderr.size.columns - 1, 1, { hasColor: false })),
        );
      else if (this.#write !== undefined) this.#write(plainProgressLine(progress));
      else await this.#stderr.writeLines([plainProgressLine(progress)]);
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
