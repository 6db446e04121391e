import { recoverNode } from '@batondb/galera/node/recover-node';
import type { RecoverReport } from '@batondb/galera/state/recover';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import type { NodeFlags } from './node-command.ts';

export async function runRecover(words: readonly string[], flags: NodeFlags, context: CommandContext): Promise<number> {
  const { signal } = context.watchInterruption();
  const { dataDirectory, report } = await recoverNode(words, signal);
  await context.stdout.writeLines(
    flags.json
      ? [jsonLine({ type: 'recovered', dataDirectory, ...report }, Date.now())]
      : recoveredLines(dataDirectory, report),
  );
  return exitCodes.ok;
}

/** Pure. */
export function recoveredLines(dataDirectory: string, { swap, position }: RecoverReport): string[] {
  return [`${dataDirectory}: ${swapTexts[swap]}`, ...positionLines(position)];
}

const swapTexts: Readonly<Record<RecoverReport['swap'], string>> = {
  nothing: 'no transfer was cut short in the middle of its swap',
  finished: 'the swap of a transfer that was cut short is finished: the new data is in place',
  undone: 'the swap of a transfer that was cut short is undone: the old data is in place',
};

function positionLines(position: RecoverReport['position']): string[] {
  switch (position.kind) {
    case 'none':
      return [];
    case 'kept':
      return [`the node has its position still, of ${position.uuid}`];
    case 'restored':
      return [
        `the node has its position again, ${position.uuid}:${position.seqno}: it can take an incremental transfer`,
      ];
    case 'refused':
      return [
        `the position is not written back: it was of ${position.saved}, and InnoDB has ${position.recovered}`,
        'the node takes its whole state when it joins',
      ];
  }
}
