import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Role } from '../contract/call.ts';
import type { Leftovers } from '../leftovers.ts';

/** In a node's data directory, for as long as a transfer runs: `baton galera status` reads it. */
export const statusFileName = 'baton_sst.json';
const format = 1;
/** Every state takes so much, filled up with blanks: one write takes the place of the one before, and nothing appears beside it while files are sent. */
const stateBytes = 2048;

/** A transfer as it stands. */
export type TransferStatus = {
  readonly role: Role;
  /** `backup`, `files`, `bypass`; undefined until the donor has said it. */
  readonly method: string | undefined;
  /** The other node; undefined until it has come. */
  readonly peer: string | undefined;
  readonly stage: string;
  readonly doneBytes: number | undefined;
  readonly totalBytes: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Of the process at work. */
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly beganAt: number;
};

/** Keeps the file. It is of no importance to the transfer: what cannot be written is not told. */
export class StatusFile implements Disposable {
  readonly #path: string;
  readonly #descriptor: number | undefined;
  #status: TransferStatus;

  constructor(dataDirectory: string, role: Role, leftovers: Leftovers) {
    this.#path = join(dataDirectory, statusFileName);
    leftovers.add(this.#path);
    this.#descriptor = tryOpen(this.#path);
    const unknown = { method: undefined, peer: undefined, doneBytes: undefined, totalBytes: undefined };
    this.#status = {
      role,
      ...unknown,
      stage: 'starting',
      bytesPerSecond: undefined,
      pid: process.pid,
      beganAt: Date.now(),
    };
    this.tell({});
  }

  tell(news: Partial<TransferStatus>): void {
    this.#status = { ...this.#status, ...news };
    const text = `${JSON.stringify({ format, ...this.#status })}\n`.padStart(stateBytes);
    try {
      if (this.#descriptor !== undefined) writeSync(this.#descriptor, text, 0);
    } catch {
      // A full disk has its own, better place to be told of.
    }
  }

  [Symbol.dispose](): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    rmSync(this.#path, { force: true });
  }
}

/** What a killed process left is replaced: another one may have its descriptor. */
function tryOpen(path: string): number | undefined {
  try {
    rmSync(path, { force: true });
    return openSync(path, 'wx', 0o640);
  } catch {
    return undefined;
  }
}

/** What runs on a node; undefined when nothing does, also when something was killed that had a file. Throws VERSION_MISMATCH, NO_PERMISSION, LIMIT. */
export function readStatus(dataDirectory: string): TransferStatus | undefined {
  const path = join(dataDirectory, statusFileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toBatonError(error, { path });
  }
  if (text.length > stateBytes * 4)
    throw new BatonError('LIMIT', `${path} has ${text.length} bytes, and a status has ${stateBytes}`);
  const found = JSON.parse(text) as TransferStatus & { readonly format: unknown };
  if (found.format !== format) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${path} is of format ${String(found.format)}, and this release knows ${format}`,
    );
  }
  return isOurs(found.pid) ? found : undefined;
}

/** The file of a process that was killed stays; its number may be another's by now. */
function isOurs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('wsrep_sst_baton');
  } catch {
    return false;
  }
}
