import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { EtcdClient, withPrefix } from '@batondb/etcd';

// Notes when rows can be seen in a sink. Its arguments are the kind of the sink and its place. It says "begun", and then, for each line with ids after and
// through which it is asked, how many milliseconds each of these rows took.

const lagsById = new Map<number, number>();
const pollMs = 1;

async function main([sink = '', place = '']: readonly string[]): Promise<void> {
  void (sink === 'etcd' ? watchEtcd(place) : pollSqlite(place));
  for await (const line of createInterface({ input: process.stdin })) {
    const { after, through } = JSON.parse(line) as { readonly after: number; readonly through: number };
    const lags: number[] = [];
    for (let id = after + 1; id <= through; id++) {
      while (!lagsById.has(id)) await delay(10);
      lags.push(lagsById.get(id)!);
    }
    process.stdout.write(`${JSON.stringify(lags)}\n`);
  }
}

function note(id: number, at: string): void {
  if (!lagsById.has(id)) lagsById.set(id, Date.now() - Date.parse(at));
}

function begun(): void {
  process.stdout.write('begun\n');
}

async function watchEtcd(place: string): Promise<void> {
  const { host, pathname } = new URL(place);
  using client = new EtcdClient({ endpoints: [host] });
  const { signal } = new AbortController();
  let isFirst = true;
  for await (const { events } of client.watch(withPrefix(`${pathname}/d/public/lagged/`), signal)) {
    if (isFirst) begun();
    isFirst = false;
    for (const { kv } of events) {
      const { id, at } = JSON.parse(kv.value.toString()) as { readonly id: string; readonly at: string };
      note(Number(id), at);
    }
  }
}

/** Rows of one client may come before earlier numbers of another: those that are missing are looked for again. */
async function pollSqlite(place: string): Promise<void> {
  const database = new DatabaseSync(place, { readOnly: true });
  const select = database.prepare('SELECT id, at FROM lagged WHERE id > ?');
  const version = database.prepare('PRAGMA data_version');
  let seen: unknown;
  let whole = 0;
  begun();
  for (;;) {
    const now = version.get()?.['data_version'];
    if (now !== seen) {
      seen = now;
      for (const row of select.iterate(whole)) note(Number(row['id']), String(row['at']));
      while (lagsById.has(whole + 1)) whole++;
    }
    await delay(pollMs);
  }
}

await Promise.race([main(process.argv.slice(2)), once(process.stdin, 'close')]);
