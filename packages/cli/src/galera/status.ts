import { existsSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { formatBytes, formatDuration, formatRate } from '@batondb/core/text/format';
import { readNodeOptions } from '@batondb/galera/node/node-options';
import { readStatus, type TransferStatus } from '@batondb/galera/report/status-file';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { pad, printableValue } from '../render/style.ts';
import type { CommandContext } from '../service/context.ts';
import type { NodeFlags } from './node-command.ts';

export async function runStatus(words: readonly string[], flags: NodeFlags, context: CommandContext): Promise<number> {
  const { signal } = context.watchInterruption();
  const { dataDirectory } = await readNodeOptions(words, signal);
  if (!existsSync(dataDirectory)) {
    throw new BatonError('NOT_FOUND', `there is no data directory ${dataDirectory}`, {
      hint: 'name it with --datadir=PATH, or the option file of its server with --defaults-file=FILE',
    });
  }
  const transfer = readStatus(dataDirectory);
  const nowMs = Date.now();
  await context.stdout.writeLines(
    flags.json
      ? [jsonLine({ type: 'status', dataDirectory, isRunning: transfer !== undefined, ...transfer }, nowMs)]
      : statusLines(dataDirectory, transfer, nowMs),
  );
  return exitCodes.ok;
}

const labelWidth = 11;

/** Pure. */
export function statusLines(dataDirectory: string, told: TransferStatus | undefined, nowMs: number): string[] {
  if (told === undefined) return [`no transfer runs on ${dataDirectory}`];
  const { role, method, peer, stage, pid, beganAt, ...amounts } = printableValue(told);
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['role', `${role}${peer === undefined ? '' : role === 'joiner' ? `, from ${peer}` : `, to ${peer}`}`],
    ['method', method],
    ['stage', stage],
    ['done', amountText(amounts)],
    ['since', `${formatDuration(Math.max(0, nowMs - beganAt))}, process ${pid}`],
  ];
  return entries.flatMap(([name, text]) => (text === undefined ? [] : [`${pad(name, labelWidth)}${text}`]));
}

function amountText(amounts: Pick<TransferStatus, 'doneBytes' | 'totalBytes' | 'bytesPerSecond'>): string | undefined {
  const { doneBytes, totalBytes, bytesPerSecond } = amounts;
  if (doneBytes === undefined) return undefined;
  const of = totalBytes === undefined ? '' : ` of about ${formatBytes(totalBytes)}`;
  const rate = bytesPerSecond === undefined ? '' : `, ${formatRate(bytesPerSecond)}`;
  const leftBytes = (totalBytes ?? 0) - doneBytes;
  const isKnown = leftBytes > 0 && bytesPerSecond !== undefined && bytesPerSecond > 0;
  const left = isKnown ? `, ${formatDuration((leftBytes / bytesPerSecond) * 1000)} left` : '';
  return `${formatBytes(doneBytes)}${of}${rate}${left}`;
}
