import { BatonError } from '@batondb/core/errors';
import { type Child, childError } from '@batondb/core/process/child';
import { Lines } from '@batondb/core/process/lines';
import { spawnTethered } from '@batondb/core/process/tethered';
import type { ServerOptions } from '@batondb/mariadb';
import { findProgram, toolEnvironment } from '@batondb/mariadb/client';
import { connectionArguments } from '@batondb/mariadb/server-options';

const lineBytesMax = 65_536;
const mark = 'baton: answered';
const client = ['mariadb', 'mysql'] as const;

/** One connection to a server that is kept, by a client that ends with us: for what belongs to a connection, as a snapshot and locks do. */
export class SqlSession implements AsyncDisposable {
  readonly #child: Child;
  readonly #argv: readonly string[];
  readonly #lines: string[] = [];
  #onAnswer: (() => void) | undefined;
  #isAnswered = false;

  private constructor(child: Child, argv: readonly string[]) {
    this.#child = child;
    this.#argv = argv;
    const lines = new Lines(lineBytesMax, (line) => {
      if (line !== mark) this.#lines.push(line);
      else {
        this.#isAnswered = true;
        this.#onAnswer?.();
      }
    });
    child.stdout.on('data', (chunk: Buffer) => lines.append(chunk));
    void child.exited.then(() => this.#onAnswer?.());
  }

  /** Starts the client; it connects by itself. Throws UNSUPPORTED without one. */
  static async start(options: ServerOptions): Promise<SqlSession> {
    const program = client.map((name) => findProgram(name)).find((path) => path !== undefined);
    if (program === undefined) throw new BatonError('UNSUPPORTED', `this machine has no ${client.join(', ')}`);
    const format = ['--batch', '--skip-column-names', '--unbuffered', '--skip-reconnect', '--protocol=socket'];
    const argv = [program, ...connectionArguments(options), ...format];
    return new SqlSession(await spawnTethered(argv, { env: toolEnvironment() }), argv);
  }

  /** Runs statements, each with its semicolon; returns the lines of their rows. Throws CHILD_FAILED with the server's words at the first that fails, and the signal's reason. */
  async ask(statements: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    this.#isAnswered = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onAnswer = resolve;
    signal.addEventListener('abort', () => resolve(), { once: true, signal: AbortSignal.any([signal]) });
    this.#child.stdin.write(`${statements}\nSELECT '${mark}';\n`);
    await promise;
    signal.throwIfAborted();
    if (!this.#isAnswered) throw childError(this.#argv, await this.#child.exited);
    return this.#lines.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.terminate(0);
  }
}

/** A name as SQL has it. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
