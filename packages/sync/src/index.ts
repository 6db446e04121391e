export { Replicator, type ReplicatorOptions } from './replicate.ts';
export type { LoadResult, OwnedSink, Sink, SinkState, SinkView, TableLoad, TableRecord } from './sink.ts';
export type { RowPart, RowSnapshot, Source, SourceSession, SourceStatus, TableSnapshot } from './source.ts';
export type { SyncEvent, SyncStatus } from './status.ts';
export type { Change, Position, StreamEvent } from './stream.ts';
export {
  type Column,
  type Field,
  keyOf,
  nameOf,
  type Row,
  type Table,
  type TableName,
  type ValueCodec,
} from './table.ts';
