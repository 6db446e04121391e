import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { candidateAddresses } from '../src/coordinator/addresses.ts';
import { EventQueue } from '../src/coordinator/event-queue.ts';
import { HeadTrial } from '../src/coordinator/head-trial.ts';
import type { ReadyTarget } from '../src/coordinator/preflight.ts';
import { RateMeter } from '../src/coordinator/rate-meter.ts';
import type { Scan } from '../src/coordinator/scan.ts';
import type { AgentSession } from '../src/coordinator/session.ts';
import { TargetState } from '../src/coordinator/target-state.ts';
import { judge } from '../src/coordinator/watch.ts';
import { parseEndpoint } from '../src/endpoint.ts';
import type { TargetPhase } from '../src/events.ts';
import { checkPlan, resolvePlan } from '../src/plan.ts';
import { runs } from './property.ts';

const mebibyte = 1024 * 1024;
const totalBytes = 1000 * mebibyte;
const startMs = 1_000_000;

const scan = { isStream: false } as Scan;
const tree = { input: { kind: 'tree' } } as const;

/** A target as it is `idleMs` after it last moved. */
function stateOf(phase: TargetPhase, doneBytes: number): TargetState {
  const target = { name: 'b:/srv', number: 1 } as ReadyTarget;
  const state = new TargetState(target, 0, { ...scan, contentBytes: totalBytes, files: 10 });
  state.progress = { ...state.progress, phase, doneBytes };
  state.movedAtMs = startMs;
  return state;
}

function at(seconds: number, unitMs = 0): { nowMs: number; unitMs: number } {
  return { nowMs: startMs + seconds * 1000, unitMs };
}

// Proves (R3): a target is stalled when there is something to send and nothing arrives, and is given up only after several senders.
test('who stands still', () => {
  const state = stateOf('receiving', 5 * mebibyte);
  assert.equal(judge(state, undefined, false, at(9)), 'fine');
  assert.equal(judge(state, undefined, false, at(11)), 'stalled');
  state.stalls = 3;
  assert.equal(judge(state, undefined, false, at(11)), 'given-up');
  assert.equal(judge(state, undefined, false, at(11, 1000)), 'fine', 'a limit of the bandwidth makes units slow');
  const upstream = stateOf('receiving', 5 * mebibyte);
  assert.equal(judge(state, upstream, false, at(600)), 'fine', 'its sender has no more than it has');
  upstream.progress = { ...upstream.progress, doneBytes: 6 * mebibyte };
  assert.equal(judge(state, upstream, false, at(11)), 'given-up');
  for (const phase of ['verifying', 'finishing', 'done'] as const) {
    upstream.progress = { ...upstream.progress, phase, doneBytes: 0 };
    assert.equal(judge(state, upstream, false, at(11)), 'given-up', `a sender that is ${phase} has everything`);
  }
});

// Proves (R3): before the first unit, a target has more time, unless its sender says that it does not get through; it never waits for ever.
test('who waits for the first unit', () => {
  const state = stateOf('checking', 0);
  assert.equal(judge(state, stateOf('checking', 0), false, at(3600)), 'fine', 'its sender waits too');
  assert.equal(judge(state, undefined, false, at(59)), 'fine');
  assert.equal(judge(state, undefined, false, at(61)), 'stalled');
  state.lastHopError = { code: 'HOP_UNREACHABLE', message: 'no route', retryable: true };
  assert.equal(judge(state, undefined, false, at(11)), 'stalled');
  state.stalls = 3;
  assert.equal(judge(state, undefined, false, at(11)), 'given-up');
});

/** Something that has grown at a rate for three seconds. */
function meterOf(bytesPerSecond: number): RateMeter {
  let nowMs = 0;
  const meter = new RateMeter(() => nowMs);
  for (; nowMs <= 3000; nowMs += 500) meter.observe((nowMs / 1000) * bytesPerSecond);
  return meter;
}

// Proves: a target is a laggard when it is far behind its sender and much slower for some seconds, and others wait for it; once.
test('who holds up others', () => {
  const [state, upstream] = [stateOf('receiving', 100 * mebibyte), stateOf('receiving', 200 * mebibyte)];
  state.rate = meterOf(10 * mebibyte);
  upstream.rate = meterOf(100 * mebibyte);
  const verdicts = (hasChildren: boolean): string[] =>
    Array.from({ length: 7 }, (_, second) => judge(state, upstream, hasChildren, at(second)));
  assert.deepEqual(verdicts(false), Array(7).fill('fine'), 'nobody waits for it');
  assert.deepEqual(verdicts(true), [...Array.from({ length: 5 }, () => 'fine'), 'lagging', 'lagging']);
  state.hasLagged = true;
  assert.deepEqual(verdicts(true), Array(7).fill('fine'));
  state.hasLagged = false;
  state.rate = meterOf(90 * mebibyte);
  assert.deepEqual(verdicts(true), Array(7).fill('fine'), 'it is about as fast');
});

// Proves: the head of a chain gives up its place once, when the copy goes on for long and no limit explains its rate; a head that
// is slower than the one before it gives it up too, and that is the end of it.
test('who goes first', () => {
  const slow = stateOf('receiving', 100 * mebibyte);
  slow.rate = meterOf(10 * mebibyte);
  const seconds = (trial: HeadTrial, head: TargetState | undefined, from: number, limit?: number): number[] =>
    Array.from({ length: 30 }, (_, index) => from + index).filter((second) =>
      trial.shouldStepBack(head, limit, startMs + second * 1000),
    );
  assert.deepEqual(seconds(new HeadTrial(), undefined, 0), []);
  assert.deepEqual(seconds(new HeadTrial(), slow, 0, 10 * mebibyte), [], 'the limit is what holds it up');
  const soon = stateOf('receiving', totalBytes - 200 * mebibyte);
  soon.rate = meterOf(10 * mebibyte);
  assert.deepEqual(seconds(new HeadTrial(), soon, 0), [], 'it is soon done');
  const trial = new HeadTrial();
  assert.deepEqual(seconds(trial, slow, 0), [8], 'once');
  const slower = stateOf('receiving', 100 * mebibyte);
  slower.rate = meterOf(5 * mebibyte);
  const again = new HeadTrial();
  const rest = (head: TargetState): boolean[] =>
    [10, 17, 18, 30, 60].map((second) => again.shouldStepBack(head, undefined, startMs + second * 1000));
  for (let second = 0; second < 9; second++) again.shouldStepBack(slow, undefined, startMs + second * 1000);
  assert.deepEqual(rest(slower), [false, false, true, false, false]);
});

// Proves: who has all is not watched, whatever it does with it.
test('who needs nothing', () => {
  for (const phase of ['verifying', 'finishing', 'done', 'failed'] as const) {
    assert.equal(judge(stateOf(phase, totalBytes), undefined, true, at(3600)), 'fine');
  }
});

// Proves: progress of any kind starts all patience anew.
test('a target that moves is fine', () => {
  const state = stateOf('receiving', mebibyte);
  state.stalls = 3;
  state.hopFailures = 2;
  state.lastHopError = { code: 'CONNECTION_LOST', message: 'cut', retryable: true };
  state.take({ ...state.progress, doneBytes: 2 * mebibyte });
  assert.deepEqual([state.stalls, state.hopFailures, state.lastHopError], [0, 0, undefined]);
  assert.ok(state.movedAtMs < startMs, 'by its own clock');
  state.movedAtMs = startMs;
  state.stalls = 2;
  state.take({ ...state.progress });
  assert.equal(state.stalls, 2, 'the same again is no progress');
});

// Proves: the totals of preflight stand until the target has its own, and nobody is shown more than all of it.
test('what is shown of a target', () => {
  const state = stateOf('checking', 0);
  state.take({ ...state.progress, doneBytes: 2 * totalBytes, totalBytes: 0, totalFiles: 0 });
  const shown = state.show();
  assert.deepEqual([shown.totalBytes, shown.totalFiles, shown.doneBytes], [totalBytes, 10, totalBytes]);
});

// Proves: the rate is that of the last seconds, and falls to nothing when nothing comes.
test('a rate is measured over some seconds', () => {
  let nowMs = 0;
  const meter = new RateMeter(() => nowMs);
  assert.equal(meter.bytesPerSecond(), 0);
  for (let tick = 0; tick <= 40; tick++) {
    meter.observe(tick * 500);
    nowMs += 500;
  }
  assert.ok(Math.abs(meter.bytesPerSecond() - 1000) < 120, `${meter.bytesPerSecond()} B/s`);
  const before = meter.bytesPerSecond();
  nowMs += 60_000;
  assert.ok(meter.bytesPerSecond() < before / 5);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2000), fc.nat(10 ** 9)), { maxLength: 50 }), (steps) => {
      const other = new RateMeter(() => nowMs);
      let bytes = 0;
      for (const [pauseMs, more] of steps) {
        nowMs += pauseMs;
        bytes += more;
        other.observe(bytes);
        const rate = other.bytesPerSecond();
        assert.ok(Number.isFinite(rate) && rate >= 0);
      }
    }),
    runs(100),
  );
});

function session(host: string | undefined, greeting: Partial<AgentSession['greeting']> = {}): AgentSession {
  return { endpoint: { host }, greeting: { bootId: host ?? 'here', ...greeting } } as AgentSession;
}

// Proves: the likeliest address comes first, none twice, and `--bind` leaves no choice.
test('where a target may be reached', () => {
  const listening = { port: 4400, addresses: ['10.0.0.2', 'fd00::2'] };
  const b = session('b.example', { reachedAt: '192.0.2.2' });
  const a = session('a.example', { reachedFrom: '198.51.100.9' });
  assert.deepEqual(candidateAddresses(a, b, listening, undefined), ['192.0.2.2', 'b.example', '10.0.0.2', 'fd00::2']);
  assert.deepEqual(candidateAddresses(a, b, listening, '10.0.0.0/8'), ['10.0.0.2', 'fd00::2']);
  const here = session(undefined);
  assert.deepEqual(candidateAddresses(here, here, listening, undefined).slice(0, 2), ['127.0.0.1', '::1']);
  assert.equal(candidateAddresses(a, here, listening, undefined)[0], '198.51.100.9', 'the address its login came from');
  const twin = session('b2.example', { bootId: 'b.example' });
  const addresses = candidateAddresses(twin, b, listening, undefined);
  assert.equal(addresses.at(-1), '127.0.0.1', 'one machine under two names');
  assert.equal(new Set(addresses).size, addresses.length);
});

// Proves: plans that no host need be asked about are refused, and the name of the copy follows from the source.
test('what follows from a plan', () => {
  const endpoint = parseEndpoint;
  const plan = { source: endpoint('a:/srv/data/'), targets: [endpoint('b:/srv'), endpoint('c:/srv')] };
  checkPlan(plan);
  assert.equal(Buffer.from(resolvePlan(plan, tree).name).toString(), 'data');
  assert.equal(Buffer.from(resolvePlan(plan, { ...tree, as: 'other' }).name).toString(), 'other');
  for (const name of ['', '.', '..', 'a/b', 'x'.repeat(256)]) {
    assert.throws(() => resolvePlan(plan, { ...tree, as: name }), { code: 'USAGE' });
  }
  assert.throws(() => resolvePlan({ ...plan, source: endpoint('a:/') }, tree), { code: 'USAGE' });
  assert.throws(() => checkPlan({ ...plan, targets: [] }), { code: 'USAGE' });
  assert.throws(() => checkPlan({ ...plan, targets: [endpoint('b:/srv'), endpoint('b:/srv/')] }), /named twice/);
  const many = Array.from({ length: 1001 }, (_, index) => endpoint(`h${index}:/srv`));
  assert.throws(() => checkPlan({ ...plan, targets: many }), { code: 'LIMIT' });
});

// Proves: what was pushed before and after the reader came is read in order; the end, or the error, comes last.
test('events are read in order', async () => {
  for (const failure of [undefined, new Error('for this test')]) {
    const queue = new EventQueue<number>();
    const read: number[] = [];
    queue.push(1);
    const reading = (async () => {
      for await (const value of queue.read()) read.push(value);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    queue.push(2);
    queue.push(3);
    queue.close(failure);
    queue.push(4);
    if (failure === undefined) await reading;
    else await assert.rejects(reading, failure);
    assert.deepEqual(read, [1, 2, 3]);
  }
});

// Proves: a reader that is slow is not left with all that was superseded meanwhile.
test('the newest event takes the place of the one before', async () => {
  const queue = new EventQueue<string>((later, earlier) => later[0] === 'p' && earlier[0] === 'p');
  for (const value of ['p1', 'p2', 'x', 'p3', 'p4', 'y', 'z']) queue.push(value);
  queue.close();
  const read: string[] = [];
  for await (const value of queue.read()) read.push(value);
  assert.deepEqual(read, ['p2', 'x', 'p4', 'y', 'z']);
});
