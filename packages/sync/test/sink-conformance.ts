import { describeChanges } from './sink-conformance.changes.ts';
import { describeLoads } from './sink-conformance.loads.ts';
import { describeOwners, describeRepair, describeState } from './sink-conformance.owners.ts';
import { describeRandom } from './sink-conformance.random.ts';
import { describeStructure } from './sink-conformance.structure.ts';
import type { SinkKind } from './sink-place.ts';

// What every sink has to keep (sink.ts, Y1, Y2, Y4, Y5, Y6), run against each of them.

export function describeSink(kind: SinkKind): void {
  describeState(kind);
  describeLoads(kind);
  describeChanges(kind);
  describeStructure(kind);
  if (kind.hasOneOwner) describeOwners(kind);
  if (kind.knowsRows) describeRepair(kind);
  describeRandom(kind);
}
