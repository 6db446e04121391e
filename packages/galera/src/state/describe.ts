import type { PositionReport, RecoverReport } from './recover.ts';
import type { Settled } from './settle.ts';

const swaps: Readonly<Record<Settled, string | undefined>> = {
  nothing: undefined,
  dropped:
    'a state transfer had stopped before it touched the old data: the old data is in place, and what was received is removed',
  finished: 'a swap was cut short while the new data came in: it is finished, and the new data is in place',
  undone: 'a swap was cut short and a part of the new data is gone: it is undone, and the old data is in place',
  cleaned: 'a swap was done but for removing the old data: that is removed, and the new data is in place',
  emptied:
    'the old data was given up (space=in-place) and the new data did not come: there is none, and the node needs a whole transfer',
};

/** What a settled swap means, as a sentence; undefined when there was none. */
export function describeSettled(settled: Settled): string | undefined {
  return swaps[settled];
}

/** What `recover` found and did, a sentence each; none when there was nothing to do. */
export function describeRecovery({ swap, position }: RecoverReport): string[] {
  return [swaps[swap], describePosition(position)].filter((sentence) => sentence !== undefined);
}

function describePosition(position: PositionReport): string | undefined {
  switch (position.kind) {
    case 'none':
      return undefined;
    case 'kept':
      return `grastate.dat still has its position, of cluster ${position.uuid}: it stays as it is`;
    case 'restored':
      return `grastate.dat has the position of the ${position.of} again, ${position.uuid}:${position.seqno} as InnoDB recovers it: an incremental transfer is possible`;
    case 'refused':
      return `grastate.dat is left without a position: ${position.saved} was saved, and InnoDB recovers ${position.recovered}; the node will take a whole transfer`;
  }
}
