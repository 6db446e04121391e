// What a person sees of a running transfer.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { Leftovers } from '../src/leftovers.ts';
import { ServerLog } from '../src/report/log.ts';
import { progressSentence } from '../src/report/progress.ts';
import { readStatus, StatusFile, statusFileName } from '../src/report/status-file.ts';

// Proves: a transfer is shown while it runs; the file of one that was killed says nothing, and one of another release is refused.
test('a status', async () => {
  await using sandbox = makeSandbox();
  assert.equal(readStatus(sandbox.path), undefined);
  const { title } = process;
  process.title = 'wsrep_sst_baton';
  try {
    using leftovers = new Leftovers();
    using status = new StatusFile(sandbox.path, 'donor', leftovers);
    status.tell({ stage: 'a stage whose name is long', peer: 'db2:4444', method: 'backup' });
    status.tell({ stage: 'short', doneBytes: 5 });
    const { stage, peer, doneBytes, pid } = readStatus(sandbox.path) ?? {};
    assert.deepEqual(
      { stage, peer, doneBytes, pid },
      { stage: 'short', peer: 'db2:4444', doneBytes: 5, pid: process.pid },
    );
  } finally {
    process.title = title;
  }
  assert.ok(!existsSync(sandbox.join(statusFileName)));
  writeFileSync(sandbox.join(statusFileName), JSON.stringify({ format: 1, pid: process.pid, role: 'donor' }));
  assert.equal(readStatus(sandbox.path), undefined);
  writeFileSync(sandbox.join(statusFileName), JSON.stringify({ format: 2 }));
  assert.throws(() => readStatus(sandbox.path), { code: 'VERSION_MISMATCH' });
});

// Proves: what is known of a stage is in its line, and nothing else.
test('lines of progress', () => {
  const gib = 2 ** 30;
  const measured = { bytes: gib, totalBytes: 4 * gib, bytesPerSecond: gib / 4 };
  assert.equal(
    progressSentence('sending', 4000, measured),
    'sending: 1.00 GiB of about 4.00 GiB (25 %), 256 MiB/s, 12 s left',
  );
  assert.equal(
    progressSentence('sending', 4000, { bytes: gib, totalBytes: undefined, bytesPerSecond: undefined }),
    'sending: 1.00 GiB',
  );
  // The estimate was too low.
  assert.match(progressSentence('sending', 4000, { ...measured, bytes: 5 * gib }), /\(99 %\), 256 MiB\/s$/);
  const nothing = { bytes: undefined, totalBytes: undefined, bytesPerSecond: undefined };
  assert.equal(progressSentence('preparing', 65_000, nothing), 'preparing, for 1 m 05 s');
});

// Proves: a failure is a line with the cause and a line with the next step, as each server's log has them.
test('a failure in the log', () => {
  const lines: string[] = [];
  const error = new BatonError('NO_SPACE', 'the disk\nis full', { hint: 'make room' });
  new ServerLog('mariadb', 'joiner', (line) => lines.push(line)).fail(error);
  new ServerLog('pxc', 'donor', (line) => lines.push(line)).fail(error);
  assert.deepEqual(
    lines.map((line) => line.replace(/ \(\d{8} [\d:.]+\)$/, '')),
    [
      'WSREP_SST: [ERROR] baton joiner: the transfer has failed: the disk is full (NO_SPACE)',
      'WSREP_SST: [ERROR] baton joiner: next step: make room',
      'ERR:baton donor: the transfer has failed: the disk is full (NO_SPACE)',
      'ERR:baton donor: next step: make room',
    ],
  );
});
