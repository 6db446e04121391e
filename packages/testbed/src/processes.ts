// Programs run to their end, with everything they said and a limit on their time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How a command is run; every field may be left out. */
export type CommandOptions = {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; none by default. */
  readonly input?: string | Uint8Array;
  /** After this the command's whole process group is killed and the call throws. Default: 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** What a command said and how it ended. */
export type CommandResult = {
  readonly argv: readonly string[];
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdoutBytes: Buffer;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
};

/** Standard output that is kept; a command that says more is broken or not meant for this function. */
const outputBytesMax = 512 * 1024 * 1024;

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has ended already.
  }
}

/** Runs a command to its end. Throws when it cannot be started, is aborted, or takes too long; never for its exit code. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error('runCommand() needs a program');
  const timeoutMs = options.timeoutMs ?? 60_000;
  const begin = performance.now();
  // A process group of its own, so that a limit reached ends grandchildren as well.
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let stopped: string | undefined;
  const stop = (reason: string): void => {
    stopped ??= reason;
    killGroup(child.pid);
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const timer = setTimeout(() => stop(`took longer than ${timeoutMs} ms`), timeoutMs);
  const onAbort = (): void => stop('was aborted');
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let outputBytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    outputBytes += chunk.length;
    if (outputBytes > outputBytesMax) stop(`wrote more than ${outputBytesMax} bytes`);
    else stdout.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program may end without reading its input; its exit code tells more than EPIPE does.
  child.stdin?.on('error', () => undefined);
  if (options.input !== undefined) child.stdin?.end(options.input);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    const stderrText = Buffer.concat(stderr).toString();
    if (stopped !== undefined) throw new Error(`${argv.join(' ')} ${stopped}\n${stderrText.slice(-2000)}`);
    const stdoutBytes = Buffer.concat(stdout);
    const durationMs = performance.now() - begin;
    return { argv, code, signal, stdoutBytes, stdout: stdoutBytes.toString(), stderr: stderrText, durationMs };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Like runCommand(), and throws when the exit code is not 0; the message has the end of its stderr. */
export async function mustRun(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const result = await runCommand(argv, options);
  if (result.code !== 0) {
    const how = result.code === null ? `was ended by ${result.signal}` : `ended with ${result.code}`;
    throw new Error(`${argv.join(' ').slice(0, 500)} ${how}: ${result.stderr.slice(-2000).trim()}`);
  }
  return result;
}

/**
 * Runs a command and gives the lines of its standard output as they come, however much that is. Throws after the last one when its
 * exit code is not 0. A reader that stops early ends it.
 */
export async function* linesOf(
  argv: readonly string[],
  options: Pick<CommandOptions, 'env' | 'input'> = {},
): AsyncGenerator<string> {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, { env: { ...process.env, ...options.env }, stdio: 'pipe', detached: true });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const stderr: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  try {
    let rest = '';
    for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
    if (rest !== '') yield rest;
    const [code, signal] = await closed;
    if (code !== 0) {
      const said = Buffer.concat(stderr).toString().slice(-2000).trim();
      throw new Error(`${argv.join(' ').slice(0, 500)} ended with ${code ?? signal}: ${said}`);
    }
  } finally {
    if (child.exitCode === null) killGroup(child.pid);
  }
}
