import { createReadStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { BatonError } from '@batondb/core/errors';
import { spawnChild } from '@batondb/core/process/child';
import type { RequestResult, StreamInput } from '../control/messages.ts';
import type { Report } from './agent.ts';
import { findBackup } from './backup-input.ts';

/** The descriptor at which an agent of this machine finds the standard input of the command that started it. */
export const inputDescriptor = 3;

/** A stream that can be made: what is known of it beforehand, and how it is begun. */
export type FoundInput = Omit<RequestResult<'stream'>, 'manifestDigest' | 'manifestBytes'> & {
  readonly open: (signal: AbortSignal) => Promise<OpenInput>;
};

/** A stream that is being made. */
export type OpenInput = AsyncDisposable & {
  readonly content: AsyncIterable<Uint8Array>;
  /** Resolves once the content was read and everything that made it has ended well; rejects with what went wrong. */
  finished(): Promise<void>;
};

const readBytes = 256 * 1024;
/** Grace of a command that is ended. */
const graceMs = 500;

/** Looks at what makes a stream, and starts nothing that changes anything. Throws what preflight reports. */
export async function findInput(input: StreamInput, report: Report, signal: AbortSignal): Promise<FoundInput> {
  switch (input.kind) {
    case 'stdin':
      return { open: async () => openStdin() };
    case 'command':
      return { open: () => openCommand(input.command) };
    case 'mariadb':
      return await findBackup(input, report, signal);
    default:
      return input satisfies never;
  }
}

function openStdin(): OpenInput {
  const stat = fstatSync(inputDescriptor);
  const isPipe = stat.isFIFO() || stat.isSocket();
  // A pipe may be in non-blocking mode, which only a socket of Node understands; a file has to be read as one.
  const content = isPipe
    ? new Socket({ fd: inputDescriptor, readable: true, writable: false })
    : createReadStream('', { fd: inputDescriptor, highWaterMark: readBytes, autoClose: false });
  const dispose = async () => void content.destroy();
  return { content, finished: async () => undefined, [Symbol.asyncDispose]: dispose };
}

/**
 * Runs a command by bash, for its pipefail: a pipeline of which any process fails has failed. The command goes over a pipe, so that
 * it is in no process list but in its own words.
 */
async function openCommand(command: string): Promise<OpenInput> {
  const argv = ['bash', '-o', 'pipefail', '-c', 'eval "$(cat <&3)" 3<&-'];
  const child = await spawnChild(argv, { detached: true, descriptor3: { text: command } });
  child.stdin.end();
  const finished = async () => {
    const { code, signal, stderrTail } = await child.exited;
    if (code === 0) return;
    const how = signal === undefined ? `ended with exit code ${code}` : `was killed by ${signal}`;
    throw new BatonError('CHILD_FAILED', `the command of --exec ${how}${stderrTail === '' ? '' : `: ${stderrTail}`}`, {
      hint: 'nothing was kept of it; mend the command and run the same again',
    });
  };
  return { content: child.stdout, finished, [Symbol.asyncDispose]: () => child.terminate(graceMs) };
}
