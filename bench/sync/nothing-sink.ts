import type { OwnedSink, Sink, SinkState } from '@batondb/sync';

const state: SinkState = { position: undefined, isOpen: false, tables: new Map() };

/** Takes what comes and drops it: what is left is the cost of reading and decoding. */
export function nothingSink(): Sink {
  const owned: OwnedSink = {
    state,
    lost: new AbortController().signal,
    begin: () => Promise.resolve(),
    load() {
      let rows = 0;
      return Promise.resolve({
        write: (batch) => {
          rows += batch.length;
          return Promise.resolve();
        },
        finish: () => Promise.resolve({ rows, written: rows, deleted: 0 }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
    async *apply(batches) {
      for await (const batch of batches) {
        const last = batch.findLast(({ kind }) => kind === 'commit' || kind === 'reached');
        if (last !== undefined && 'position' in last) yield last.position;
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { address: 'nothing', own: () => Promise.resolve(owned) };
}
