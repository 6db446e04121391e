import { open } from 'node:fs/promises';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Output } from '../../output.ts';

/** Where a shell writes what statements give. */
export interface Sink extends AsyncDisposable {
  write(text: string): Promise<void>;
  /** Columns of the terminal; undefined: it is none. */
  readonly columns: number | undefined;
}

export function standardSink(stdout: Output): Sink {
  return {
    write: (text) => stdout.write(text),
    get columns() {
      return stdout.isTerminal ? stdout.size.columns : undefined;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A file, which is replaced. Throws NO_PERMISSION, NOT_FOUND, NO_SPACE. */
export async function fileSink(path: string): Promise<Sink> {
  const attempt = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw toBatonError(error, { path });
    }
  };
  const file = await attempt(open(path, 'w'));
  return {
    write: async (text) => {
      await attempt(file.appendFile(text));
    },
    columns: undefined,
    [Symbol.asyncDispose]: () => attempt(file.close()),
  };
}
