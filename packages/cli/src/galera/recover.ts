import { recoverNode } from '@batondb/galera/node/recover-node';
import { describeRecovery } from '@batondb/galera/state/describe';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import type { NodeFlags } from './node-command.ts';

export async function runRecover(words: readonly string[], flags: NodeFlags, context: CommandContext): Promise<number> {
  const { signal } = context.watchInterruption();
  const { dataDirectory, report } = await recoverNode(words, signal);
  const { swap, position } = report;
  const sentences = describeRecovery(report);
  const told = sentences.length === 0 ? ['there was nothing to do'] : sentences;
  const seqno = 'seqno' in position ? { seqno: String(position.seqno) } : {};
  await context.stdout.writeLines(
    flags.json
      ? [jsonLine({ type: 'recovered', dataDirectory, swap, position: { ...position, ...seqno } }, Date.now())]
      : told.map((sentence) => `${dataDirectory}: ${sentence}`),
  );
  return exitCodes.ok;
}
