// The loop into a real etcd, against a source that remembers every state it had: connections break at any moment, and readers look all the while.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import {
  type Change,
  type Position,
  Replicator,
  type Row,
  type Source,
  type SourceSession,
  type StreamEvent,
  type Table,
} from '@batondb/sync';
import { everything } from '@batondb/sync/mapping/mapping';
import { type ChangeGroup, openReader, type Reader } from '@batondb/sync/reader';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { type Gate, startGate } from '@batondb/testbed/gate';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { EtcdBed } from './etcd-bed.ts';
import { type Contents, indexOf, MemorySource } from './memory-source.ts';
import { runs } from './property.ts';
import { textTable } from './tables.ts';

const timeout = 600_000;
const scenarios = runs(4).numRuns;
const seed = seedOfRun();
const tables = [textTable('a', ['id', 'x', 'big']), textTable('b', ['id', 'n', 'x', 'big'], { keys: 2 })];
let sandbox: Sandbox;
let etcd: EtcdCluster;
let gate: Gate;

before(async () => {
  sandbox = makeSandbox();
  etcd = await startEtcd(sandbox);
  gate = await startGate(etcd.endpoints[0]!);
});

after(async () => {
  await gate[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

/** A source of which every state of every timeline is known, and that does not send again what an update left as it was. */
class Model implements Source {
  readonly address = 'model';
  readonly source: MemorySource;
  readonly random: Random;
  /** Updates as they are sent. */
  readonly #partial = new WeakMap<StreamEvent, StreamEvent>();
  readonly #timelines: (readonly (readonly Change[])[])[] = [];
  total: number;

  constructor(random: Random) {
    this.random = random;
    this.total = random.integer(5, 40);
    let faults = random.integer(0, 4);
    this.source = new MemorySource(tables, () => {
      if (faults === 0 || random.integer(0, 60) > 0) return;
      faults--;
      throw new BatonError('CONNECTION_LOST', 'injected', { retryable: true });
    });
    this.source.meanwhile = () => {
      if (this.source.history.length < this.total && random.integer(0, 1) === 0) this.grow();
    };
    for (let count = random.integer(0, this.total); count > 0; count--) this.grow();
  }

  grow(): void {
    this.source.history.push(this.#transaction());
  }

  failOver(kept: number): void {
    this.#timelines[this.source.timeline] = [...this.source.history];
    this.source.failOver(kept);
  }

  /** What readers have to see at a position. */
  contentsAt(position: Position): Contents {
    const timeline = Number(position.split('/')[0]);
    const history = this.#timelines[timeline];
    if (history === undefined) return this.source.contentsAt(indexOf(position));
    const past = new MemorySource(tables, () => undefined);
    past.history.push(...history);
    return past.contentsAt(indexOf(position));
  }

  async open(): Promise<SourceSession> {
    const session = await this.source.open();
    const partial = this.#partial;
    const stream = session.stream.bind(session);
    session.stream = async function* (after, known, signal): AsyncIterable<readonly StreamEvent[]> {
      for await (const batch of stream(after, known, signal)) yield batch.map((event) => partial.get(event) ?? event);
    };
    return session;
  }

  #transaction(): readonly Change[] {
    const { random } = this;
    const changes: Change[] = [];
    const rows = new Map(
      [...this.source.contentsAt(this.source.history.length)].map(([name, all]) => [name, new Map(all)]),
    );
    const count = random.integer(0, 9) === 0 ? random.integer(10, 60) : random.integer(0, 4);
    for (let left = count; left > 0; left--) {
      const table = random.pick(tables);
      changes.push(...this.#change(table, rows.get(table.name)!));
    }
    return changes;
  }

  #change(table: Table, there: Map<string, Row>): readonly Change[] {
    const { random } = this;
    const keyText = (of: Row): string => JSON.stringify(table.key.map((place) => of[place]));
    const row = table.columns.map(() => String(random.integer(0, 6)));
    const some = there.size === 0 ? undefined : random.pick([...there.values()]);
    if (random.integer(0, 40) === 0) {
      there.clear();
      return [{ kind: 'truncate', tables: [table] }];
    }
    if (some === undefined || (!there.has(keyText(row)) && random.integer(0, 2) === 0)) {
      if (there.has(keyText(row))) return [];
      there.set(keyText(row), row);
      return [{ kind: 'insert', table, row }];
    }
    const key = some.map((field, place) => (table.key.includes(place) ? field : undefined));
    there.delete(keyText(some));
    if (random.integer(0, 3) === 0) return [{ kind: 'delete', table, old: key }];
    const isMoved = !there.has(keyText(row)) && keyText(row) !== keyText(some);
    const isKept = (place: number): boolean => place === table.columns.length - 1 && random.integer(0, 1) === 0;
    const now = some.map((field, place) =>
      (!isMoved && table.key.includes(place)) || isKept(place) ? field : row[place],
    );
    there.set(keyText(now), now);
    const change: Change = { kind: 'update', table, row: now, ...(isMoved ? { old: key } : {}) };
    const last = now.length - 1;
    if (now[last] === some[last]) this.#partial.set(change, { ...change, row: now.with(last, undefined) });
    return [change];
  }
}

/** Rows by table, each as JSON by its key. */
function textsOf(contents: Contents): Record<string, Record<string, string>> {
  const texts: Record<string, Record<string, string>> = {};
  for (const table of tables) {
    const rows = (texts[`public.${table.name}`] = {} as Record<string, string>);
    for (const row of contents.get(table.name)!.values()) {
      const key = JSON.stringify(table.key.map((place) => row[place]));
      rows[key] = JSON.stringify(Object.fromEntries(table.columns.map(({ name }, place) => [name, row[place]])));
    }
  }
  return texts;
}

/** Looks again and again, and follows by a watch: every state that is seen was one of the source's. */
class Onlooker {
  readonly #model: Model;
  readonly #url: string;
  seen = 0;

  constructor(model: Model, url: string) {
    this.#model = model;
    this.#url = url;
  }

  async look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        using reader = await openReader({ url: this.#url });
        await Promise.all([this.#snapshots(reader, signal), this.#follow(reader, signal)]);
      } catch (error) {
        if (!(error instanceof BatonError && (error.retryable || error.code === 'NOT_FOUND'))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #snapshots(reader: Reader, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#expect(await this.#state(reader));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #follow(reader: Reader, signal: AbortSignal): Promise<void> {
    const snapshot = await reader.snapshot();
    const { texts } = await this.#read(snapshot);
    for await (const group of reader.watch(snapshot, signal)) {
      await applyGroup(texts, group);
      this.#expect({ position: group.position, texts });
    }
  }

  async #state(reader: Reader): Promise<State> {
    return await this.#read(await reader.snapshot());
  }

  async #read(snapshot: Awaited<ReturnType<Reader['snapshot']>>): Promise<State> {
    const texts: State['texts'] = {};
    for (const { schema, name } of snapshot.tables) {
      const rows = (texts[`${schema}.${name}`] = {} as Record<string, string>);
      for await (const page of snapshot.rows(`${schema}.${name}`))
        for (const { key, json } of page) rows[JSON.stringify(key)] = json;
    }
    return { position: snapshot.position, texts };
  }

  #expect({ position, texts }: State): void {
    this.seen++;
    assert.deepEqual(texts, textsOf(this.#model.contentsAt(position)), `at ${position}`);
  }
}

type State = { readonly position: Position; readonly texts: Record<string, Record<string, string>> };

async function applyGroup(texts: State['texts'], { changes }: ChangeGroup): Promise<void> {
  for await (const some of changes) {
    for (const change of some) {
      if (change.kind === 'put') texts[change.table]![JSON.stringify(change.key)] = change.json;
      else if (change.kind === 'delete') delete texts[change.table]![JSON.stringify(change.key)];
      else if (change.kind === 'table') texts[change.table] ??= {};
      else delete texts[change.table];
    }
  }
}

/** Until the source's newest state is in etcd; connections break meanwhile. */
async function replicate(model: Model, bed: EtcdBed, signal: AbortSignal): Promise<void> {
  const replicator = new Replicator({
    name: 'model',
    source: model,
    sink: bed.sink({
      url: `etcd://${gate.endpoint}${bed.prefix}`,
      txnOperations: model.random.pick([4, 7, 20, 128]),
    }),
    mapping: everything,
    phases: 'both',
    until: String(model.total),
    jobs: 2,
    onEvent: () => undefined,
    retry: { msMin: 0, msMax: 10 },
  });
  let cuts = model.random.integer(0, 3);
  const cutter = setInterval(
    () => {
      if (cuts-- > 0) gate.set('open');
    },
    model.random.integer(200, 1_500),
  );
  try {
    await replicator.run(signal);
  } finally {
    clearInterval(cutter);
  }
}

/** Replicates under the eyes of an onlooker. Returns how many states were seen. */
async function prove(model: Model, bed: EtcdBed): Promise<number> {
  const onlooker = new Onlooker(model, bed.url);
  const stop = new AbortController();
  const looking = onlooker.look(stop.signal).catch((error: unknown) => {
    stop.abort();
    throw error;
  });
  try {
    await replicate(model, bed, stop.signal);
    if (!stop.signal.aborted) await expectEnd(model, bed);
  } finally {
    stop.abort();
    await looking;
  }
  return onlooker.seen;
}

async function expectEnd(model: Model, bed: EtcdBed): Promise<void> {
  const final = textsOf(model.contentsAt(model.source.positionAt(model.total)));
  for (const table of tables) {
    const found = [...(await bed.read(table)).values()];
    assert.deepEqual(found.sort(), Object.values(final[`public.${table.name}`]!).sort());
  }
}

// Proves: whatever breaks, etcd comes to what the source has; and who reads by snapshots or by a watch sees states that the source had, and nothing else (Y1 to Y6).
test('a dump, the stream and a failover, under the eyes of readers', { timeout }, async (t) => {
  const random = new Random(seed);
  let seen = 0;
  for (let round = 0; round < scenarios; round++) {
    const model = new Model(random.fork(String(round)));
    const bed = new EtcdBed(etcd.endpoints);
    try {
      seen += await prove(model, bed);
      model.failOver(random.integer(0, model.total));
      model.total = model.source.history.length + random.integer(1, 20);
      model.grow();
      seen += await prove(model, bed);
    } catch (error) {
      t.diagnostic(`BATON_SEED=${seed}, scenario ${round}`);
      throw error;
    }
  }
  assert.ok(seen > scenarios);
});
