import { toErrorRecord } from '@batondb/core/errors';
import { exitCodeOf } from '../exit-codes.ts';
import { reportFailure } from '../failure.ts';
import { type Interruption, watchInterruption } from '../interruption.ts';
import { Output } from '../output.ts';
import { parseSqlite } from './command.ts';
import type { SqliteContext } from './context.ts';

/** Runs `baton sqlite` with the words after it, and returns the exit code. */
export async function runSqlite(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  let interruption: Interruption | undefined;
  const stdout = new Output(process.stdout, undefined);
  const stderr = new Output(process.stderr, undefined);
  const context: SqliteContext = {
    stdout,
    stderr,
    environment,
    userId: process.geteuid?.() ?? 0,
    watchInterruption: () => (interruption ??= watchInterruption()),
  };
  try {
    const { readerFor } = await import('../config/reader.ts');
    const line = parseSqlite(words, readerFor(environment).read);
    if (line.kind === 'run') return await line.run(context);
    await (line.isAsked ? stdout : stderr).write(line.text);
    return line.isAsked ? 0 : 2;
  } catch (error) {
    await reportFailure(error, stderr);
    return interruption?.exitCode() ?? exitCodeOf(toErrorRecord(error).code, true);
  }
}
