import type { KnownShape, Observation } from '../source.ts';
import type { Position } from '../stream.ts';
import type { Table } from '../table.ts';
import { type PrimaryNode, socketOf } from './connect.ts';
import { isBefore, parsePosition } from './position.ts';
import { type PublishedRows, type SnapshotOptions, snapshotOf } from './snapshot.ts';
import { SharedSnapshot } from './snapshot-connections.ts';
import { SlotStream } from './stream.ts';

// A snapshot, and by the temporary slot that has exported it the changes that follow. Nothing of it outlives its connections.

export type ObservationContext = {
  readonly node: PrimaryNode;
  readonly snapshot: SnapshotOptions;
  readonly publications: readonly string[];
  /** Ids of tables that are published and not observed. */
  readonly unwanted: ReadonlySet<string>;
  readonly spillDirectory: string;
  readonly note: (message: string) => void;
};

/** Throws what a dump throws. */
export async function observe(
  tables: readonly PublishedRows[],
  context: ObservationContext,
  signal: AbortSignal,
): Promise<Observation> {
  const { shared, replication, slot } = await SharedSnapshot.openWithSlot(context.snapshot, signal);
  await using held = new AsyncDisposableStack();
  held.defer(() => void socketOf(replication).destroy());
  const snapshot = held.use(await snapshotOf(shared, tables, context.snapshot));
  const stream = held.use(
    new SlotStream({
      ...context,
      systemId: shared.systemId,
      slot,
      replication,
      after: shared.lsn,
      abandonSlotAtBytes: undefined,
      published: new Map(),
      known: {
        shapes: new Map(tables.map(({ table }) => [table.id, shapeOf(table)])),
        rowsNameColumns: false,
        needsKeys: false,
      },
    }),
  );
  const rest = held.move();
  return {
    position: snapshot.position,
    tables: snapshot.tables,
    isReachedBy: (position) => isReached(snapshot.position, position),
    changes: (changesSignal) => stream.events(changesSignal),
    [Symbol.asyncDispose]: async () => await rest.disposeAsync(),
  };
}

/** A place on another timeline is not compared: a sink that follows comes to ours, and one that does not follow is no witness. */
function isReached(place: Position, position: Position): boolean {
  if (isBefore(position, place)) return false;
  return parsePosition(position).timeline === parsePosition(place).timeline;
}

function shapeOf({ schema, name, columns, key }: Table): KnownShape {
  return { schema, name, columns, key: key.map((place) => columns[place]!.name) };
}
