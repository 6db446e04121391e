import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { FollowerPlan, Found } from './follower-plan.ts';

const program = new URL('./follower-process.ts', import.meta.url).pathname;

/** A replication in a process of its own. */
export class Follower implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** `profiles`: a directory for profiles of its processor time; undefined: none are made. */
  constructor(plan: FollowerPlan, profiles?: string) {
    const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
    const args = ['--conditions=batondb-source', ...profiling, program, JSON.stringify(plan)];
    const output = openSync('/dev/null', 'w');
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', output, 'inherit', 'pipe'] });
    this.#lines = createInterface({ input: this.#child.stdio[3] as Readable })[Symbol.asyncIterator]();
  }

  /** It follows the stream now. */
  async streaming(): Promise<void> {
    await this.#line();
  }

  stop(): void {
    this.#child.stdin?.end();
  }

  /** What it found, when it has come to its end. */
  async found(): Promise<Found> {
    for (;;) {
      const line = JSON.parse(await this.#line()) as Found | 'streaming';
      if (line !== 'streaming') return line;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.stop();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('a follower ended before it told what it found');
    return next.value;
  }
}

/** Runs one to its end. Throws when it has not read as many rows as it should. */
export async function follow(plan: FollowerPlan, rows: number, profiles?: string): Promise<Found> {
  await using follower = new Follower(plan, profiles);
  const found = await follower.found();
  // One more ends a backlog.
  if (found.rows !== rows && found.rows !== rows + 1) {
    throw new Error(`${plan.sink}: ${found.rows} rows were read, and not ${rows}`);
  }
  return { ...found, rows };
}
