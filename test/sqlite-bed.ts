// The command `baton sqlite` as processes: a server on a free port, and others that are run to their end.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

export const baton = resolve(import.meta.dirname, '../baton');

/** How a process ended. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** How long is waited for something to be shown. */
const patienceMs = 30_000;

/** What a process is started with beside its words. */
export type Surroundings = { readonly input?: string; readonly environment?: Readonly<Record<string, string>> };

/** Runs `baton sqlite` to its end. */
export async function run(
  words: readonly string[],
  { input = '', environment = {} }: Surroundings = {},
): Promise<Ended> {
  const child = spawn(baton, ['sqlite', ...words], { env: { ...process.env, ...environment } });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  return { code, stdout, stderr };
}

/** The same for one that has to succeed; resolves with its standard output. */
export async function succeed(words: readonly string[], surroundings: Surroundings = {}): Promise<string> {
  const { code, stdout, stderr } = await run(words, surroundings);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** A line of `--json`. */
type Event = Readonly<Record<string, unknown>>;

/** Where a server listens, and what else it finds. */
export type ServerSurroundings = { readonly listen?: string; readonly environment?: Readonly<Record<string, string>> };

/** A server that says where it is. Disposing kills it. */
export class ServerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has said on standard output. */
  readonly said: Event[] = [];
  readonly #exit: Promise<unknown>;
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    createInterface({ input: child.stdout! }).on('line', (line) => this.said.push(JSON.parse(line) as Event));
    this.#exit = once(child, 'exit');
    this.ended = once(child, 'close').then(
      ([code]): Ended => ({ code: code as number | null, stdout: '', stderr: this.#stderr }),
    );
  }

  /** Starts `baton sqlite serve`, and resolves when it is ready. */
  static async start(words: readonly string[], listen?: string): Promise<ServerProcess> {
    const server = ServerProcess.begin(words, listen === undefined ? {} : { listen });
    await server.until(() => server.said.at(-1)?.['type'] === 'ready');
    return server;
  }

  /** The same, without waiting for it. */
  static begin(words: readonly string[], surroundings: ServerSurroundings = {}): ServerProcess {
    const { listen = '127.0.0.1:0', environment = {} } = surroundings;
    const child = spawn(baton, ['sqlite', 'serve', '--no-config', '--json', '--listen', listen, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    return new ServerProcess(child);
  }

  /** Waits until something holds, which standard error may tell. Fails when the server ends before. */
  async until(isSo: (stderr: string) => boolean): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!isSo(this.#stderr)) {
      const hasEnded = await Promise.race([this.#exit.then(() => true), delay(20, false)]);
      if (hasEnded) assert.fail(`the server ended: ${(await this.ended).stderr}`);
      assert.ok(performance.now() < endMs, `waited in vain: ${this.#stderr}`);
    }
  }

  get ready(): Event {
    return this.said.at(-1) ?? {};
  }

  get url(): string {
    return String(this.ready['url']);
  }

  /** Ends it in order. */
  async stop(): Promise<Ended> {
    this.child.kill('SIGTERM');
    return await this.ended;
  }

  /** Ends it as a power cut would, as far as a process can see. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A person who types into a shell at a terminal, which script(1) makes. Disposing ends it. */
export class Person implements AsyncDisposable {
  /** The exit code. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #seen = '';

  constructor(place: string, stateDirectory: string) {
    const env = { ...process.env, XDG_STATE_HOME: stateDirectory, TERM: 'xterm' };
    const command = `exec '${baton}' sqlite shell '${place}'`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdout.on('data', (piece: Buffer) => {
      this.#seen += piece.toString();
    });
    this.#child = child;
    this.ended = once(child, 'exit').then(([code]) => code as number | null);
  }

  types(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Resolves when something is on the screen since the last time. */
  async sees(what: RegExp): Promise<void> {
    const startMs = performance.now();
    for (;;) {
      const screen = stripVTControlCharacters(this.#seen).replaceAll('\r', '');
      if (what.test(screen)) break;
      assert.ok(performance.now() - startMs < patienceMs, `${what} was not seen:\n${screen}`);
      await delay(20);
    }
    this.#seen = '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The terminal goes with script, and the shell with the terminal.
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
