import { BatonError } from '@batondb/core/errors';
import { type Child, describeExit } from '@batondb/core/process/child';
import { Lines } from '@batondb/core/process/lines';
import { spawnTethered } from '@batondb/core/process/tethered';
import type { Sink, SinkState, TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { afterAbort } from './after-abort.ts';
import { type Answer, parseAnswer } from './answers.ts';
import { linesLimits } from './limits.ts';
import { LineBytes } from './line-bytes.ts';
import { type Commit, commitLine, helloLine, rollbackLine, stateLine } from './lines.ts';
import { type LinesTarget, OwnedLines } from './owned-lines.ts';

export type CommandSinkOptions = {
  /** For a shell. */
  readonly command: string;
  readonly source: string;
};

/**
 * A command that gets lines on its standard input and says on its standard output which positions it holds: any other system, at least once. It is the one
 * who keeps the position, and what is to be kept with it; docs/sync-ndjson.md has the protocol.
 */
export function commandSink({ command, source }: CommandSinkOptions): Sink {
  return {
    address: `exec:${command}`,
    async own(signal) {
      await using held = new AsyncDisposableStack();
      const child = await spawnTethered(['sh', '-c', command]);
      const target = held.use(new CommandTarget(command, child));
      const state = stateOf(await target.hello(source, signal));
      held.use(target.endedBy(signal));
      return new OwnedLines(target, held.move(), state, target.lost);
    },
  };
}

function stateOf({ position, isOpen, tables }: Answer): SinkState {
  return { position: position ?? undefined, isOpen, tables: position === null ? new Map() : tables };
}

class CommandTarget implements LinesTarget {
  readonly #command: string;
  readonly #child: Child;
  readonly #lost = new AbortController();
  readonly #lines = new LineBytes();
  /** Lines were told since the last commit. */
  #isInside = false;
  /** Positions of commits that wait to be told, and of those that were told and that the command does not hold yet. */
  #committed: Position[] = [];
  #unheld: Position[] = [];
  #wake: () => void = () => {};
  #failure: BatonError | undefined;
  #answer: Answer | undefined;

  constructor(command: string, child: Child) {
    this.#command = command;
    this.#child = child;
    const lines = new Lines(linesLimits.answerBytesMax, (line) => this.#take(line));
    child.stdout.on('data', (chunk: Buffer) => lines.append(chunk));
    void child.exited.then((exit) => {
      this.#fail(new BatonError('CHILD_FAILED', describeExit(['sh', '-c', command], exit), { retryable: true }));
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The first line to it, and its first line. Throws TIMED_OUT, CHILD_FAILED and PROTOCOL. */
  async hello(source: string, signal: AbortSignal): Promise<Answer> {
    const seconds = linesLimits.helloMsMax / 1000;
    const timer = setTimeout(() => {
      this.#fail(
        new BatonError('TIMED_OUT', `${this.#command} has not said where it is for ${seconds} s`, {
          retryable: true,
          hint: 'it has to answer the line "hello" with a line such as {"position":null}',
        }),
      );
    }, linesLimits.helloMsMax);
    const abort = (): void => this.#fail(new BatonError('INTERRUPTED', 'the wait for a command was ended'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      this.#child.stdin.write(helloLine(source));
      return await this.#until(() => this.#answer);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  /** After the signal, the command has a while for what it was told; then nobody waits for it any more. */
  endedBy(signal: AbortSignal): Disposable {
    return afterAbort(signal, linesLimits.endMsMax, () => {
      this.#fail(new BatonError('INTERRUPTED', `${this.#command} did not say in time that it holds what it was told`));
    });
  }

  add(text: string): void {
    this.#lines.add(text);
    this.#isInside = true;
  }

  addBytes(bytes: Buffer): void {
    this.#lines.addBytes(bytes);
    this.#isInside = true;
  }

  commit(commit: Commit, changed: ReadonlyMap<string, TableRecord | null>): void {
    if (changed.size > 0) this.#lines.add(stateLine(changed));
    this.#lines.add(commitLine(commit));
    this.#isInside = false;
    this.#committed.push(commit.position);
  }

  /** Waits until the command says that it holds the commits that are among the lines. */
  async flush(): Promise<void> {
    const bytes = this.#lines.take();
    this.#unheld = this.#committed;
    this.#committed = [];
    if (bytes.length === 0) return;
    if (!this.#child.stdin.write(bytes)) await this.#drained();
    await this.#until(() => (this.#unheld.length === 0 ? true : undefined));
  }

  async rollBack(): Promise<void> {
    if (!this.#isInside) return;
    this.#isInside = false;
    this.#lines.clear();
    this.#lines.add(rollbackLine);
    await this.flush();
  }

  /** Its input ends: it may finish what it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new BatonError('INTERRUPTED', 'the command is being ended');
    this.#child.stdin.end();
    const timer = setTimeout(() => void this.#child.terminate(0), linesLimits.endMsMax);
    await this.#child.exited;
    clearTimeout(timer);
    await this.#child[Symbol.asyncDispose]();
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    const answer = parseAnswer(line);
    if (answer === undefined) {
      this.#fail(
        new BatonError('PROTOCOL', `${this.#command} wrote what is no position: ${line.slice(0, 200)}`, {
          hint: 'its standard output is for lines such as {"position":"…"}; let it log to its standard error',
        }),
      );
      return;
    }
    if (this.#answer === undefined) this.#answer = answer;
    // Who holds a commit holds those before it.
    else this.#unheld = this.#unheld.slice(this.#unheld.lastIndexOf(answer.position ?? '') + 1);
    this.#wake();
  }

  #fail(error: BatonError): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      // Nobody may be waiting for it: a command that ends while nothing is told is noticed all the same.
      this.#lost.abort(error);
    }
    this.#wake();
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #drained(): Promise<void> {
    let isDrained = false;
    this.#child.stdin.once('drain', () => {
      isDrained = true;
      this.#wake();
    });
    await this.#until(() => isDrained || undefined);
  }
}
