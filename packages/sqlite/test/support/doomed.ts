// Processes that run until they are killed.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program of the tests that said it is ready. */
export class Doomed {
  /** What it said since. */
  readonly lines: readonly string[];
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, lines: readonly string[]) {
    this.#child = child;
    this.lines = lines;
  }

  /** Kills it as `kill -9` does. Resolves when it is gone. */
  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    assert.equal(this.#child.exitCode, null, 'the process ended by itself');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

/** Starts a program beside the tests and waits until it says `ready`. */
export async function startDoomed(program: string, args: readonly string[]): Promise<Doomed> {
  const path = fileURLToPath(new URL(`../${program}`, import.meta.url));
  const argv = ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning', path, ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const input = createInterface({ input: child.stdout });
  const ready = new Promise<void>((resolve, reject) => {
    input.on('line', (line) => (line === 'ready' ? resolve() : lines.push(line)));
    child.once('exit', () => reject(new Error(`${program} ended before it was ready`)));
  });
  await ready;
  return new Doomed(child, lines);
}
