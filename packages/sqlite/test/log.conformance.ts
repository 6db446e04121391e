// What every log has to do, whatever it is kept in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry, ReplicatedLog } from '../src/log/log.ts';

/** A place for one log. */
export type LogBed = {
  /** The log that is there, as a process that starts finds it whose files hold everything through an entry. The one opened before is disposed of. */
  open(checkpoint?: { readonly epoch: number; readonly index: number }): Promise<ReplicatedLog>;
};

/** Appends as the present leader; returns a function that says what became of each payload. */
export async function leaderOf(log: ReplicatedLog): Promise<(payload: string | Buffer) => Promise<string>> {
  const { epoch } = await log.lead(new AbortController().signal);
  return async (payload) => await log.append({ index: log.head + 1, epoch, payload: Buffer.from(payload) }, epoch);
}

/** The payloads of entries after one, through the head. */
export async function payloadsOf(log: ReplicatedLog, head: number, after = 0): Promise<string[]> {
  const payloads: string[] = [];
  if (head <= after) return payloads;
  for await (const { index, payload } of log.entries(after, new AbortController().signal)) {
    assert.equal(index, after + payloads.length + 1);
    payloads.push(Buffer.from(payload).toString());
    if (index === head) break;
  }
  return payloads;
}

/** Runs the suite on logs of one kind. */
export function describeLog(name: string, makeBed: () => LogBed): void {
  // Proves: entries come back in their order, as they were written, also for who comes later; the head is the last one (L1).
  test(`${name}: what was appended is read`, async () => {
    const bed = makeBed();
    await using log = await bed.open();
    const append = await leaderOf(log);
    const payloads = [
      '',
      'a',
      'ü\u0000',
      'x'.repeat(100_000),
      ...Array.from({ length: 40 }, (_, number) => `${number}`),
    ];
    for (const payload of payloads) assert.equal(await append(payload), 'accepted');
    assert.equal(log.head, payloads.length);
    assert.deepEqual(await payloadsOf(log, log.head), payloads);
    assert.deepEqual(await payloadsOf(log, log.head, 40), payloads.slice(40));
    await log[Symbol.asyncDispose]();
    await using again = await bed.open();
    const { head } = await again.lead(new AbortController().signal);
    assert.equal(head, payloads.length);
    assert.deepEqual(await payloadsOf(again, head), payloads);
  });

  // Proves: every leadership has a higher epoch, and an append under an older one is refused and leaves nothing (L8, E1).
  test(`${name}: an older epoch is refused`, async () => {
    const bed = makeBed();
    await using log = await bed.open();
    const first = await log.lead(new AbortController().signal);
    const early = await leaderOf(log);
    assert.equal(await early('early'), 'accepted');
    const second = await log.lead(new AbortController().signal);
    assert.ok(second.epoch > first.epoch);
    assert.equal(await early('late'), 'refused');
    const entry = { index: 2, epoch: second.epoch, payload: Buffer.from('second') };
    assert.equal(await log.append(entry, second.epoch), 'accepted');
    assert.deepEqual(await payloadsOf(log, log.head), ['early', 'second']);
    await log[Symbol.asyncDispose]();
    await using again = await bed.open();
    const third = await again.lead(new AbortController().signal);
    assert.ok(third.epoch > second.epoch);
    assert.equal(third.head, 2);
  });

  // Proves: who reads is given entries that come later, and is let go when it wants.
  test(`${name}: reading goes on`, async () => {
    await using log = await makeBed().open();
    const append = await leaderOf(log);
    await append('first');
    const ended = new AbortController();
    const seen: LogEntry[] = [];
    const reading = (async () => {
      for await (const entry of log.entries(0, ended.signal)) seen.push(entry);
    })();
    for (const payload of ['second', 'third']) await append(payload);
    while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    ended.abort();
    await reading;
    assert.deepEqual(
      seen.map(({ payload }) => Buffer.from(payload).toString()),
      ['first', 'second', 'third'],
    );
  });

  // Proves: a trimmed log says that it is, keeps what it may not forget, and knows its head and epoch all the same.
  test(`${name}: trimmed`, async () => {
    const bed = makeBed();
    await using log = await bed.open();
    const append = await leaderOf(log);
    for (let number = 1; number <= 60; number++) await append(`${number}-`.padEnd(30_000, '.'));
    await log.trim(50);
    await assert.rejects(payloadsOf(log, log.head, 2), { code: 'HISTORY_LOST' });
    assert.equal((await payloadsOf(log, log.head, 50)).length, 10);
    await log.trim(1000);
    assert.equal((await payloadsOf(log, log.head, 59)).length, 1);
    assert.equal(await append('next'), 'accepted');
    await log[Symbol.asyncDispose]();
    await using again = await bed.open({ epoch: 1, index: 59 });
    assert.equal((await again.lead(new AbortController().signal)).head, 61);
    assert.deepEqual(await payloadsOf(again, 61, 60), ['next']);
  });
}
