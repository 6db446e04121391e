export { Replicator, type ReplicatorOptions } from './replicate.ts';
export type * from './sink.ts';
export type * from './source.ts';
export type * from './status.ts';
export type * from './stream.ts';
export * from './table.ts';
