import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { SqlError } from '@batondb/sqlite';
import { parseLocation } from '@batondb/sqlite/client/location';
import { exitCodeOf, exitCodes } from '../../exit-codes.ts';
import { bugLines, failureLines } from '../../failure.ts';
import { readAccess } from '../../service/access.ts';
import type { CommandContext } from '../../service/context.ts';
import { historyPath, type Place } from '../places.ts';
import type { ShellFlags } from '../shell-command.ts';
import { readLines } from './lines.ts';
import { openPrompt } from './prompt.ts';
import { Shell } from './shell.ts';
import { standardSink } from './sink.ts';
import { directoryTarget, serverTarget, type Target } from './target.ts';

/** Runs a shell at the terminal, or what standard input says as a script, and returns the exit code. */
export async function runShell(place: Place, flags: ShellFlags, context: CommandContext): Promise<number> {
  const isInteractive = process.stdin.isTTY === true;
  await using target = await openTarget(place, flags, context);
  await using shell = new Shell({
    target,
    standard: standardSink(context.stdout),
    settings: { mode: flags.mode ?? (isInteractive ? 'table' : 'list'), hasHeaders: isInteractive, hasTimer: false },
  });
  return isInteractive ? await converse(shell, context) : await runScript(shell, context);
}

async function openTarget(place: Place, flags: ShellFlags, { environment }: CommandContext): Promise<Target> {
  if (place.kind === 'directory') return await directoryTarget(place.path, flags.database ?? 'main');
  if (flags.database !== undefined)
    throw new BatonError('USAGE', '--database is for a directory', {
      hint: 'write the name behind /db/ in the address',
    });
  return serverTarget(parseLocation(place.address), readAccess(flags, environment));
}

/** Ends at the first error, with its exit code. */
async function runScript(shell: Shell, { stderr, watchInterruption }: CommandContext): Promise<number> {
  const interruption = watchInterruption();
  interruption.signal.addEventListener('abort', () => shell.interrupt());
  process.stdin.setEncoding('utf8');
  try {
    for await (const line of readLines(process.stdin)) {
      interruption.signal.throwIfAborted();
      await shell.line(line);
      if (shell.isAtEnd) return exitCodes.ok;
    }
    await shell.end();
    return exitCodes.ok;
  } catch (error) {
    await stderr.writeLines(errorLines(error));
    return interruption.exitCode() ?? exitCodeOf(toErrorRecord(error).code, true);
  }
}

/** Goes on after errors, until `.quit` or the end of the input. */
async function converse(shell: Shell, { stdout, stderr, environment }: CommandContext): Promise<number> {
  await shell.target.open(shell.signal).then((session) => session.close());
  await stdout.writeLines([`${shell.target.title}: .help lists commands, .quit ends`]);
  using prompt = openPrompt(historyPath(environment), () => shell.interrupt());
  while (!shell.isAtEnd) {
    const mark = shell.isWithinStatement ? '   ...> ' : `${shell.target.database}${shell.isInTransaction ? '*' : ''}> `;
    const line = await prompt.ask(mark);
    if (line === undefined) break;
    try {
      await shell.line(line);
    } catch (error) {
      await stderr.writeLines(errorLines(error));
    }
  }
  return exitCodes.ok;
}

/** What SQLite says goes with its code; anything else is shown as other commands show it. */
function errorLines(error: unknown): string[] {
  const record = toErrorRecord(error);
  const message = error instanceof SqlError ? `${record.message} (${error.sqliteExtendedCode})` : record.message;
  const lines = failureLines({ ...record, message });
  return record.code === 'BUG' && error instanceof Error ? [...lines, ...bugLines(error)] : lines;
}
