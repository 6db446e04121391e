import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { BatonError } from '@batondb/core/errors';
import { type Child, spawnChild } from '@batondb/core/process/child';
import { clientError, parseRows, type Row } from './client-output.ts';
import { limits } from './limits.ts';
import { connectionArguments, type ServerOptions } from './server-options.ts';

/** Where administrators' programs are, also when a login's PATH does not say so. */
const systemDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The absolute path of a program, by PATH and the system's directories; undefined when there is none. */
export function findProgram(name: string, searchPath: string = process.env['PATH'] ?? ''): string | undefined {
  const directories = [...searchPath.split(delimiter).filter(isAbsolute), ...systemDirectories];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Environment of clients and tools: ours, with messages in the language that we read. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C' };
}

/** The option files of a host may change how a client prints; these say it as {@link parseRows} reads it. */
const formatArguments = ['--batch', '--column-names', '--skip-raw', '--skip-table', '--skip-vertical', '--skip-html'];
const safetyArguments = ['--skip-reconnect', '--skip-auto-rehash', '--connect-timeout=10', '--protocol=socket'];
const setup = "SET SESSION sql_mode='';\n";

/**
 * Runs one statement by the installed client (`mariadb`, else `mysql`) and returns its rows. `timeoutMs` counts from the start
 * of the client. Throws what {@link clientError} says, UNSUPPORTED without a client, LIMIT for an answer above
 * limits.answerBytesMax, UNREACHABLE (retryable) when the server takes too long, and the signal's reason.
 */
export async function runStatement(
  options: ServerOptions,
  statement: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Row[]> {
  signal.throwIfAborted();
  const argv = [await findClient(options), ...connectionArguments(options), ...formatArguments, ...safetyArguments];
  // In a session of its own there is no terminal that it could ask for a password.
  await using child = await spawnChild(argv, { detached: true, env: toolEnvironment() });
  const ended = endBy(child, timeoutMs, signal);
  child.stdin.end(`${setup}${statement};\n`);
  try {
    const answer = await readAnswer(child);
    const { code, stderrTail } = await child.exited;
    ended.throwIfSo(options.socketPath, statement);
    if (code !== 0) throw clientError(stderrTail, options.socketPath);
    return parseRows(answer);
  } catch (error) {
    ended.throwIfSo(options.socketPath, statement);
    throw error;
  } finally {
    ended[Symbol.dispose]();
  }
}

/** Ends the child after a time or by the signal, and afterwards tells which of the two it was. */
function endBy(
  child: Child,
  timeoutMs: number,
  signal: AbortSignal,
): Disposable & { throwIfSo(socketPath: string, statement: string): void } {
  let isLate = false;
  const end = (): void => void child.terminate(0);
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  return {
    throwIfSo(socketPath, statement) {
      signal.throwIfAborted();
      if (!isLate) return;
      const message = `${socketPath}: the server did not answer within ${timeoutMs / 1000} s: ${statement}`;
      throw new BatonError('UNREACHABLE', message, { retryable: true });
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    },
  };
}

async function readAnswer(child: Child): Promise<string> {
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.answerBytesMax) child.stdout.destroy(tooLong());
  });
  return text(child.stdout);
}

function tooLong(): BatonError {
  return new BatonError('LIMIT', `the server answered more than ${limits.answerBytesMax} bytes`);
}

async function findClient({ loginPath }: ServerOptions): Promise<string> {
  // MariaDB's client, which also goes by the name of mysql, has no login paths.
  const names = loginPath === undefined ? ['mariadb', 'mysql'] : ['mysql'];
  const client = names.map((name) => findProgram(name)).find((path) => path !== undefined);
  if (client === undefined) {
    const message = `this machine has no database client (${names.join(', ')})`;
    throw new BatonError('UNSUPPORTED', message, { hint: 'apt-get install mariadb-client' });
  }
  if (loginPath !== undefined && (await isMariadb(client))) {
    const message = `the login path ${loginPath} cannot be used: ${client} is MariaDB's client, which has none`;
    throw new BatonError('UNSUPPORTED', message, { hint: 'put user and password into a defaults file' });
  }
  return client;
}

async function isMariadb(client: string): Promise<boolean> {
  await using child = await spawnChild([client, '--no-defaults', '--version'], { env: toolEnvironment() });
  return /mariadb/i.test(await text(child.stdout));
}
