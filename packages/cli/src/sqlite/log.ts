import { formatCount } from '@batondb/core/text/format';
import { checkLog, formatPosition, type LogReport, type Recovery, recoverLog } from '@batondb/sqlite';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { printableText } from '../render/style.ts';
import { confirm } from '../service/confirm.ts';
import type { CommandContext } from '../service/context.ts';
import type { RecoverFlags } from './log-command.ts';

// What `baton sqlite log` prints: what a person at three in the morning has to know before the next step.

const verdicts: Readonly<Record<LogReport['verdict'], string>> = {
  whole: 'whole: everything can be read',
  torn: 'torn: its end was never acknowledged to anybody, and the next start cuts it off',
  damaged: 'DAMAGED: entries are lost that were acknowledged',
  hopeless: "DAMAGED: entries are lost, and the databases' files hold parts of them: restore a backup",
};

/** Says what the log of a directory is like, and returns 0 for one that a server starts on. */
export async function runLogCheck(directory: string, isJson: boolean, { stdout }: CommandContext): Promise<number> {
  const report = checkLog(directory);
  await stdout.writeLines(isJson ? [jsonLine({ type: 'log', ...report }, Date.now())] : reportLines(report));
  return isUsable(report) ? exitCodes.ok : exitCodes.verification;
}

/** Cuts a damaged log, after it was said what is given up. */
export async function runLogRecover(directory: string, flags: RecoverFlags, context: CommandContext): Promise<number> {
  const { stdout, stderr } = context;
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const planned = recoverLog(directory, { dryRun: true, stamp });
  const show = async (recovery: Recovery, isDone: boolean): Promise<number> => {
    const lines = flags.json
      ? [jsonLine({ type: 'log-recovery', isDone, ...recovery }, Date.now())]
      : recoveryLines(recovery, isDone);
    await stdout.writeLines(lines);
    return exitCodes.ok;
  };
  if (planned.keptAt === undefined || flags.dryRun) return await show(planned, false);
  if (!flags.json) await stderr.writeLines(reportLines(planned.report));
  const question = `everything after position ${formatPosition(planned.report.recoverable)} is given up`;
  if (!(await confirm(question, flags.yes ?? false, context))) {
    await stderr.writeLines(['nothing was changed']);
    return exitCodes.interrupted;
  }
  return await show(recoverLog(directory, { dryRun: false, stamp }), true);
}

function isUsable({ verdict }: LogReport): boolean {
  return verdict === 'whole' || verdict === 'torn';
}

function reportLines(report: LogReport): string[] {
  const { directory, verdict, follows, checkpoint, recoverable, segments, lost, reason, cut, databases } = report;
  return [
    `log of ${printableText(directory)}`,
    `verdict      ${verdicts[verdict]}`,
    `checkpoint   ${formatPosition(checkpoint)}: the databases' files hold everything through it`,
    `readable     ${formatPosition(recoverable)}: everything through it`,
    ...(lost === undefined ? [] : [`lost         entries ${lost.from} to ${lost.through}, or more`]),
    ...(reason === undefined ? [] : [`reason       ${printableText(reason)}`]),
    ...(cut.length === 0
      ? []
      : [`of no use    ${formatCount(cut.length, 'entry', 'entries')} that can be read, behind what cannot`]),
    ...(follows === undefined ? [] : [`follows      ${printableText(follows)}: the log that counts is there`]),
    ...segments.map(segmentLine),
    ...databases.map(({ name, pageCount, pageBytes, sequence }) => {
      const size = `${pageCount} pages of ${pageBytes} bytes`;
      return `database     ${printableText(name)}: ${formatCount(sequence, 'transaction')}, ${size} at ${formatPosition(recoverable)}`;
    }),
  ];
}

function segmentLine({ path, records, first, last, modifiedMs }: LogReport['segments'][number]): string {
  const entries = first === undefined ? 'no entry' : `${formatCount(records, 'entry', 'entries')}, ${first} to ${last}`;
  return `segment      ${printableText(path)}: ${entries}, written ${new Date(modifiedMs).toISOString()}`;
}

function recoveryLines({ report, keptAt }: Recovery, isDone: boolean): string[] {
  if (keptAt === undefined) return [...reportLines(report), 'nothing has to be recovered: a server starts on it'];
  const where = formatPosition(report.recoverable);
  if (!isDone)
    return [...reportLines(report), `dry run: would go back to ${where}, and keep what is there now in ${keptAt}`];
  return [
    `recovered    the log ends at ${where} now, under a new name: replicas begin again`,
    `kept         ${printableText(keptAt)}: the log and its record as they were`,
  ];
}
