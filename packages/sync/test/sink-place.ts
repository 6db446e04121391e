import type { OwnedSink, Position, Row, Sink, StreamEvent, Table } from '@batondb/sync';
import type { Contents } from './sink-model.ts';

// Where a sink is tried, and how.

/** A place for a sink that is used by one test. */
export type SinkPlace = AsyncDisposable & {
  /** The sink as one more process would have it. */
  sink(): Sink;
  /** What a reader by the sink's own rule sees who knows nothing of Baton's code. Columns of integers and texts are told as the source's text. */
  contents(): Promise<Contents>;
};

export type SinkKind = {
  readonly name: string;
  readonly place: () => Promise<SinkPlace>;
  /** It knows the rows that it has, so a load writes only what differs. */
  readonly comparesRows: boolean;
  /** Rows of a transaction: beyond what the sink takes in one step. */
  readonly manyRows: number;
  /** A second owner waits for the first. */
  readonly hasOneOwner: boolean;
  /** It can be asked for the keys of its rows, and for those that were written after a position. */
  readonly knowsRows: boolean;
  /** Rows that nothing tells apart have a place in it. */
  readonly keepsUnkeyed: boolean;
  /** A table that is told of under another name keeps its rows; else its source drops it first. */
  readonly followsRenames: boolean;
  /** Random streams that are tried. */
  readonly rounds: number;
};

const silent = new AbortController().signal;

export function own(
  sink: Sink,
  onWait: (owner: string) => void = () => {},
  signal: AbortSignal = silent,
): Promise<OwnedSink> {
  return sink.own(signal, onWait, () => {});
}

export async function load(owned: OwnedSink, of: Table, rows: readonly Row[], position: Position): Promise<unknown> {
  await using one = await owned.load(of);
  const half = Math.ceil(rows.length / 2);
  await Promise.all([one.write(rows.slice(0, half)), one.write(rows.slice(half))]);
  return await one.finish(position);
}

let lastPosition = 0;
export function transaction(...changes: readonly StreamEvent[]): readonly StreamEvent[] {
  const position = `p${++lastPosition}`;
  return [
    { kind: 'begin', transaction: position, commitsAt: position, committedAtMs: 0 },
    ...changes,
    { kind: 'commit', position, committedAtMs: 0 },
  ];
}

async function* streamOf(...batches: readonly (readonly StreamEvent[])[]): AsyncGenerator<readonly StreamEvent[]> {
  yield* batches;
}

export async function apply(owned: OwnedSink, ...batches: readonly (readonly StreamEvent[])[]): Promise<Position[]> {
  const told: Position[] = [];
  for await (const position of owned.apply(streamOf(...batches))) told.push(position);
  return told;
}

/** Applies the events to a sink that has this table with these rows, and gives what it holds then. */
export async function after(
  place: SinkPlace,
  of: Table,
  rows: readonly Row[],
  ...events: StreamEvent[]
): Promise<Contents> {
  await using owned = await own(place.sink());
  await owned.begin('p0', [of], false);
  await load(owned, of, rows, 'p0');
  await apply(owned, transaction(...events));
  return await place.contents();
}

/** The place as its next owner finds it. */
export async function reopened(at: SinkPlace, owned: OwnedSink): Promise<OwnedSink> {
  await owned[Symbol.asyncDispose]();
  return await own(at.sink());
}
