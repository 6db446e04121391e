import { toErrorRecord } from '@batondb/core/errors';
import type { ConfigReader } from '../config/apply.ts';
import { readerFor } from '../config/reader.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { reportFailure } from '../failure.ts';
import { type Interruption, watchInterruption } from '../interruption.ts';
import { Output } from '../output.ts';
import type { CommandContext } from './context.ts';
import type { CommandLine } from './subcommands.ts';

/** Reads the words after the name of a door. `read` reads configuration files. */
export type Parse = (words: readonly string[], read?: ConfigReader) => CommandLine;

/** Runs a door with the words after its name, and returns the exit code. */
export async function runDoor(parse: Parse, words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  let interruption: Interruption | undefined;
  const stdout = new Output(process.stdout, undefined);
  const stderr = new Output(process.stderr, undefined);
  const context: CommandContext = {
    stdout,
    stderr,
    environment,
    userId: process.geteuid?.() ?? 0,
    watchInterruption: () => (interruption ??= watchInterruption()),
  };
  try {
    const line = parse(words, readerFor(environment).read);
    if (line.kind === 'run') return await line.run(context);
    await (line.isAsked ? stdout : stderr).write(line.text);
    return line.isAsked ? 0 : 2;
  } catch (error) {
    await reportFailure(error, stderr);
    return interruption?.exitCode() ?? exitCodeOf(toErrorRecord(error).code, true);
  }
}
