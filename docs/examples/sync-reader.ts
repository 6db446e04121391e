// Prints the rows that `baton sync` keeps in etcd, all of one moment, and then what changes, one whole transaction after the other.
//
//   node docs/examples/sync-reader.ts etcd://127.0.0.1:2379/baton/shop
import { BatonError } from '@batondb/core/errors';
import { type ChangeGroup, openReader, type ReadChange, type Snapshot } from '@batondb/sync/reader';

async function printRows(snapshot: Snapshot): Promise<void> {
  for (const { schema, name } of snapshot.tables) {
    for await (const page of snapshot.rows(`${schema}.${name}`)) {
      for (const { table, key, row } of page) console.log(`${table} ${key.join(', ')}:`, row);
    }
  }
  console.log(`that is the state at ${snapshot.position}`);
}

function printChange(change: ReadChange): void {
  if (change.kind === 'put') console.log(`${change.table} ${change.key.join(', ')} is now`, change.row);
  else if (change.kind === 'delete') console.log(`${change.table} ${change.key.join(', ')} is gone`);
  else console.log(`${change.table}: ${change.kind}`);
}

async function printChanges({ position, changes }: ChangeGroup): Promise<void> {
  for await (const some of changes) some.forEach(printChange);
  console.log(`that is the state at ${position}`);
}

async function run(url: string, signal: AbortSignal): Promise<void> {
  using reader = await openReader({ url });
  while (!signal.aborted) {
    try {
      const snapshot = await reader.snapshot(signal);
      await printRows(snapshot);
      for await (const group of reader.watch(snapshot, signal)) await printChanges(group);
    } catch (error) {
      // etcd has forgotten what came after the snapshot, or there is none yet: begin anew.
      if (!(error instanceof BatonError && (error.retryable || error.code === 'HISTORY_LOST'))) throw error;
      console.log(`${error.message}; again in a second`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error('usage: sync-reader.ts etcd://HOST[:PORT]/PREFIX');
  process.exitCode = 2;
} else {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  await run(url, stop.signal);
}
