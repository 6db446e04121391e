import { execFile } from 'node:child_process';
import { BatonError } from '@batondb/core/errors';

/** What a program that is asked something may say. */
const outputBytesMax = 1_048_576;
/** Such a program reads a few files; one that takes longer hangs. */
const runMsMaxDefault = 30_000;

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/**
 * Runs a program that says something and ends, and returns how it ended; one that a signal killed has the code -1. Throws CHILD_FAILED when it cannot
 * be started, TIMED_OUT, LIMIT, and the signal's reason.
 */
export async function runProgram(
  argv: readonly string[],
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = process.env,
  { msMax = runMsMaxDefault }: { readonly msMax?: number } = {},
): Promise<Ran> {
  signal.throwIfAborted();
  const [program = '', ...words] = argv;
  return await new Promise((resolve, reject) => {
    const options = { env: environment, maxBuffer: outputBytesMax, timeout: msMax, signal, killSignal: 'SIGKILL' };
    const child = execFile(program, words, { ...options, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (signal.aborted) return reject(signal.reason);
      if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
      return reject(failure(program, msMax, error));
    });
    child.stdin?.end();
  });
}

function failure(program: string, msMax: number, error: Error & { code?: unknown; killed?: boolean }): BatonError {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
    return new BatonError('LIMIT', `${program} said more than ${outputBytesMax} bytes`);
  if (error.killed === true) return new BatonError('TIMED_OUT', `${program} took longer than ${msMax / 1000} s`);
  return new BatonError('CHILD_FAILED', `cannot start ${program}: ${error.message}`, { cause: error });
}
