import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { limits } from '../src/limits.ts';
import { ManifestBuilder } from '../src/protocol/manifest.ts';
import { CompressionChoice } from '../src/transfer/compression-choice.ts';
import { Layout } from '../src/transfer/layout.ts';
import { Outbox } from '../src/transfer/outbox.ts';
import type { SupplyListener, UnitSupply } from '../src/transfer/supply.ts';
import { SharedUnit } from '../src/transport/unit-buffers.ts';
import { runs } from './property.ts';

const readsMax = 5;
const never = new AbortController().signal;

function treeOf(unitCount: number): Pick<UnitSupply, 'manifest' | 'layout'> {
  const builder = new ManifestBuilder();
  const base = { mode: 0o600, uid: 0, gid: 0, modifyTimeNs: 0n, accessTimeNs: 0n, xattrs: [] };
  const identity = { device: 0n, inode: 0n, changeTimeNs: 0n };
  const sizeBytes = unitCount * limits.unitBytes;
  builder.add({ kind: 'file', parent: -1, name: Buffer.from('f'), ...base, sizeBytes, identity, extents: undefined });
  const manifest = builder.finish();
  return { manifest, layout: Layout.of(manifest) };
}

/** A relay's supply in simulated time: units become available, and reads end, when the test says so. */
class SimulatedSupply implements UnitSupply {
  readonly manifest: UnitSupply['manifest'];
  readonly layout: Layout;
  readonly there = new Set<number>();
  readonly reads: { readonly unit: number; readonly end: (error?: Error) => void }[] = [];
  readonly held = { nowBytes: 0, mostBytes: 0 };
  readonly #messageBytes: number;
  readonly #listeners = new Set<SupplyListener>();

  constructor(unitCount: number, messageBytes: number) {
    const { manifest, layout } = treeOf(unitCount);
    this.manifest = manifest;
    this.layout = layout;
    this.#messageBytes = messageBytes;
  }

  get reach(): number {
    return this.layout.unitCount;
  }

  readonly oldest = 0;
  readonly ended: Promise<number> = new Promise(() => undefined);

  has(unit: number): boolean {
    return this.there.has(unit);
  }

  learn(): void {}

  read(unit: number): Promise<Uint8Array<ArrayBuffer>> {
    assert.ok(this.has(unit), 'only what is there is read');
    this.hold(limits.unitBytes);
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        this.hold(this.#messageBytes - limits.unitBytes);
        if (error === undefined) resolve(this.message(unit));
        else reject(error);
      };
      this.reads.push({ unit, end });
    });
  }

  watch(listener: SupplyListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  get watchers(): number {
    return this.#listeners.size;
  }

  /** A unit was received here. Returns how many hold its message. */
  arrive(unit: number): void {
    this.there.add(unit);
    const shared = new SharedUnit(this.message(unit));
    const retain = shared.retain.bind(shared);
    shared.retain = () => {
      this.hold(this.#messageBytes);
      return retain();
    };
    for (const listener of this.#listeners) listener(unit, shared);
    shared.release();
  }

  hold(bytes: number): void {
    this.held.nowBytes += bytes;
    this.held.mostBytes = Math.max(this.held.mostBytes, this.held.nowBytes);
  }

  /** Content does not matter here: one page stands for all of it. */
  message(unit: number): Uint8Array<ArrayBuffer> {
    const message = new Uint8Array(this.#messageBytes);
    new DataView(message.buffer).setUint32(0, unit, true);
    return message;
  }
}

// Proves (T5): whatever the order in which units arrive, reads end and the receiver takes, each unit is given out once, none
// is forgotten, and no more is held than limits.hopBufferBytes and what is being written.
test('every unit once, and never more than the bound', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(10_000, 400_000, limits.unitBytes + 43),
      fc.array(fc.constantFrom('arrive', 'arrive', 'arrive', 'read', 'take'), { maxLength: 250 }),
      fc.infiniteStream(fc.nat()),
      async (unitCount, messageBytes, steps, choices) => {
        const supply = new SimulatedSupply(unitCount, messageBytes);
        const choose = (below: number): number => (choices.next().value ?? 0) % below;
        const coming = Array.from({ length: unitCount }, (_, unit) => unit);
        const arrive = (): void => {
          const [unit] = coming.splice(choose(coming.length), 1);
          if (unit !== undefined) supply.arrive(unit);
        };
        for (let early = choose(unitCount + 1); early > 0; early--) arrive();
        using outbox = new Outbox(supply, new CompressionChoice({ mode: 'none' }), { readsMax, claims: false });
        const has = new Set<number>();
        for (let late = choose(4); late > 0; late--) arrive();
        for (let count = choose(unitCount); count > 0; count--) has.add(choose(unitCount));
        for (const unit of has) {
          const before = supply.held.nowBytes;
          outbox.settle(unit);
          assert.equal(supply.held.nowBytes, before);
        }
        supply.held.nowBytes = supply.held.mostBytes = 0;
        const given: number[] = [];
        let takers = 0;
        const take = async (): Promise<void> => {
          takers++;
          const { unit, message } = await outbox.take(never);
          takers--;
          assert.equal(new DataView(message.payload.buffer).getUint32(0, true), unit);
          given.push(unit);
          supply.hold(-messageBytes);
          message.release();
        };
        const wanted = unitCount - has.size;
        const streams = 1 + choose(4);
        const step = async (kind: 'arrive' | 'read' | 'take'): Promise<void> => {
          if (kind === 'arrive') arrive();
          else if (kind === 'read') supply.reads.shift()?.end();
          else if (takers < Math.min(streams, wanted - given.length)) void take();
          await turn();
        };
        for (const kind of steps) await step(kind);
        for (let rounds = 0; given.length < wanted && rounds < 10 * unitCount; rounds++) {
          for (const kind of ['arrive', 'read', 'take'] as const) await step(kind);
        }
        assert.deepEqual(
          given.toSorted((a, b) => a - b),
          Array.from({ length: unitCount }, (_, unit) => unit).filter((unit) => !has.has(unit)),
        );
        // What a stream has taken and not released yet is what it writes.
        const mostBytes = limits.hopBufferBytes + streams * messageBytes;
        assert.ok(supply.held.mostBytes <= mostBytes, `${supply.held.mostBytes} bytes were held`);
      },
    ),
    runs(120),
  );
});

// Proves: a unit that arrived here while the receiver was telling that it has it is not sent.
test('what is settled late leaves the queue', async () => {
  const supply = new SimulatedSupply(3, 100);
  using outbox = new Outbox(supply, new CompressionChoice({ mode: 'none' }), { readsMax, claims: false });
  for (const unit of [0, 1, 2]) supply.arrive(unit);
  outbox.settle(1);
  assert.equal((await outbox.take(never)).unit, 0);
  assert.equal((await outbox.take(never)).unit, 2);
});

// Proves: a unit that cannot be read ends every wait with that reason, now and later.
test('a failed read ends the outbox', async () => {
  const supply = new SimulatedSupply(4, 100);
  for (const unit of [0, 1]) supply.there.add(unit);
  using outbox = new Outbox(supply, new CompressionChoice({ mode: 'none' }), { readsMax, claims: false });
  const waiting = [outbox.take(never), outbox.take(never)];
  const failure = new Error('for this test');
  supply.reads[0]?.end(failure);
  for (const wait of [...waiting, outbox.take(never)]) await assert.rejects(wait, failure);
});

// Proves: whoever waits is woken by an abort and by the end, and nobody is left listening.
test('an outbox can be left', async () => {
  const supply = new SimulatedSupply(4, 100);
  const outbox = new Outbox(supply, new CompressionChoice({ mode: 'none' }), { readsMax, claims: false });
  const controller = new AbortController();
  const waiting = outbox.take(controller.signal);
  const reason = new Error('for this test');
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  const other = outbox.take(never);
  assert.equal(supply.watchers, 1);
  outbox[Symbol.dispose]();
  await assert.rejects(other, /closed/);
  assert.equal(supply.watchers, 0);
});
