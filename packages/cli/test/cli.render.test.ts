// Proves: what people see of a copy, as transcripts. A difference here is a difference for everybody who reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { cleanLines } from '../src/render/clean.ts';
import { carryingLines, changeLines, eventLines, findingLines } from '../src/render/events.ts';
import { forgetLines } from '../src/render/forget.ts';
import { jsonLine } from '../src/render/json.ts';
import { newsOf, resultOf } from '../src/render/plain.ts';
import { planLines } from '../src/render/plan.ts';
import { plainProgressLine, progressBlock } from '../src/render/progress.ts';
import { Screen } from '../src/render/screen.ts';
import { printableText, printableValue, type Style, widthOf } from '../src/render/style.ts';
import { summaryLines } from '../src/render/summary.ts';
import { changeOf, doneResult, failedResult, finding, plan, progress, summaryOf } from './events.ts';

const MiB = 1024 * 1024;
const plain: Style = { hasColor: false };

function assertLines(actual: readonly string[], expected: string): void {
  assert.deepEqual(actual, expected.split('\n').slice(1, -1));
}

test('a plan for a dry run shows final paths, sizes and hops', () => {
  assertLines(
    planLines(plan, true, 'normal', plain),
    `
source   db1:/srv/data: 20,000 files in 20,101 entries, 2.00 GiB in 2,060 units
target   db2:/srv   →  db2:/srv/data
target   backup:/b  →  backup:/b/data  (continues: 300 MiB are there)
hop      db1 → db2  (10.0.0.2:4400)
hop      db2 → backup  ([2001:db8::3]:4401)
manifest ${'a1'.repeat(32)}
dry run: nothing was copied
`,
  );
  assert.equal(planLines(plan, false, 'normal', plain).length, 3);
  assert.deepEqual(planLines(plan, false, 'quiet', plain), []);
});

test('findings come all at once, errors first, each with host and hint', () => {
  const findings = [
    { ...finding('NO_PERMISSION', 'db1', '3 files cannot be read'), severity: 'warning' as const },
    finding('UNKNOWN_HOST_KEY', 'db2', 'db2: its host key is not known', 'run this'),
    finding('NO_SPACE', 'db3', '/srv has 1.00 GiB free and 2.00 GiB are needed'),
    finding('CHILD_FAILED', 'db4', 'it said:\nfirst\nsecond\n'),
  ];
  assertLines(
    findingLines(findings, 'normal', plain),
    `
problem  db2: its host key is not known
         hint: run this
problem  db3: /srv has 1.00 GiB free and 2.00 GiB are needed
problem  db4: it said:
         first
         second
warning  db1: 3 files cannot be read
`,
  );
  assert.equal(findingLines(findings, 'quiet', plain).length, 6);
});

test('what happens on the way is a line each', () => {
  const lines = [
    eventLines({ type: 'host', host: 'db1', version: '0.1.0' }, 'verbose', plain),
    eventLines(
      { type: 'resumed', target: 'db2:/srv', keptBytes: 300 * MiB, keptUnits: 300, discardedFiles: 2 },
      'normal',
      plain,
    ),
    eventLines(
      { type: 'unit-damaged', target: 'db2:/srv', unit: 7, path: 'a/b', offset: 4096, length: MiB },
      'normal',
      plain,
    ),
    eventLines(
      { type: 'rerouted', target: 'db4:/srv', from: 'db3', to: 'db2', reason: 'db3 stopped answering' },
      'normal',
      plain,
    ),
    eventLines({ type: 'source-change', change: changeOf('log/a') }, 'verbose', plain),
    eventLines(
      {
        type: 'not-kept',
        notKept: { target: 'db2:/srv', what: 'owner', count: 1200, example: 'a/b', reason: 'EPERM' },
      },
      'normal',
      plain,
    ),
    eventLines({ type: 'target-done', result: doneResult('db2:/srv') }, 'normal', plain),
    eventLines(
      { type: 'target-failed', result: failedResult('db3:/srv', 'STALLED', 'db3 stalled', 'run again') },
      'normal',
      plain,
    ),
  ];
  assertLines(
    lines.flat(),
    `
host     db1: baton 0.1.0
resumed  db2:/srv: 300 MiB in 300 units are there from before; 2 files changed since and start anew
damaged  db2:/srv: unit 7 was not what its digest says and is fetched again (a/b, 1.00 MiB at 4096)
rerouted db4:/srv: now from db2 instead of db3 (db3 stopped answering)
changed    log/a
not kept db2:/srv: owner of 1,200 entries (EPERM), for example a/b
done     db2:/srv: db2:/srv/data after 10 s
failed   db3:/srv: db3 stalled
         hint: run again
`,
  );
});

test('quiet says nothing but what went wrong, and that once', () => {
  const result = failedResult('db3:/srv', 'STALLED', 'db3 stalled');
  assert.deepEqual(newsOf({ type: 'target-failed', result }, 'quiet', plain), []);
  assert.deepEqual(newsOf({ type: 'target-done', result: doneResult('db2:/srv') }, 'quiet', plain), []);
  const summary = summaryOf({ targets: [doneResult('db2:/srv'), result] });
  assert.deepEqual(resultOf({ type: 'summary', summary }, 'quiet', plain), ['failed   db3:/srv: db3 stalled']);
  assert.deepEqual(resultOf({ type: 'summary', summary: summaryOf() }, 'quiet', plain), []);
});

test('a summary has sizes, rates, ratios, what failed, what changed, and the digests', () => {
  const targets = [
    doneResult('db2:/srv'),
    doneResult('backup:/b', { resumedBytes: 1024 * MiB, wireBytes: 512 * MiB, durationMs: 65_000 }),
    failedResult('db3:/srv', 'CONNECTION_LOST', 'db3 stopped answering', 'see that it is up'),
  ];
  const summary = summaryOf({
    targets,
    changes: [changeOf('log/a')],
    changesTotal: 3,
    skippedSockets: 1,
    wireBytes: 1536 * MiB,
  });
  assertLines(
    summaryLines(summary, 'normal', plain),
    `
done     db2:/srv/data   2.00 GiB in 10 s, 205 MiB/s; on the wire 1.00 GiB, ratio 2.00
done     backup:/b/data  2.00 GiB, 1.00 GiB of it from before in 1 m 05 s, 15.8 MiB/s; on the wire 512 MiB, ratio 2.00
failed   db3:/srv: db3 stopped answering
         hint: see that it is up
3 source files changed, vanished or could not be read during the copy:
  changed    log/a
  … and 2 more
total    20,000 files in 20,101 entries, 1 socket skipped, 2.00 GiB to 2 of 3 targets in 10 s; on the wire 1.50 GiB
manifest ${'a1'.repeat(32)}
tree     ${'b2'.repeat(32)}  (the same on 2 targets)
`,
  );
});

test('a target that failed because of another host names it', () => {
  const failed = failedResult('db3:/srv', 'CONNECTION_LOST', 'the connection broke');
  const because = (host: string): string[] =>
    eventLines(
      {
        type: 'target-failed',
        result: { ...failed, error: { code: 'CONNECTION_LOST', message: 'it broke', retryable: true, host } },
      },
      'normal',
      plain,
    );
  assert.deepEqual(because('db2'), ['failed   db3:/srv: db2: it broke']);
  assert.deepEqual(because('db3'), ['failed   db3:/srv: it broke']);
});

test('different trees are told apart', () => {
  const targets = [doneResult('db2:/srv'), doneResult('db3:/srv', { treeDigest: 'c3'.repeat(32) })];
  assertLines(
    summaryLines(summaryOf({ targets }), 'normal', plain).slice(-2),
    `
tree     ${'b2'.repeat(32)}  (db2:/srv)
tree     ${'c3'.repeat(32)}  (db3:/srv)
`,
  );
});

test('of many changed files the first twenty are named', () => {
  const changes = Array.from({ length: 100 }, (_, index) => changeOf(`log/${index}`));
  const lines = changeLines(changes, 1234, plain);
  assert.equal(lines.length, 22);
  assert.equal(lines.at(-1), '  … and 1,214 more');
});

test('progress in a log', () => {
  assertLines(
    [
      progress('db2:/srv', 'receiving', 0.4219, 5.6),
      progress('db3:/srv', 'verifying', 1),
      progress('db4:/srv', 'done', 1),
    ].map(plainProgressLine),
    `
progress db2:/srv: 42 %, 864 MiB of 2.00 GiB, 210 MiB/s, ETA 5.6 s, 8,438 of 20,000 files
progress db3:/srv: verifying, 100 %, 2.00 GiB of 2.00 GiB, 0 B/s, 20,000 of 20,000 files
progress db4:/srv: done, 100 %, 2.00 GiB of 2.00 GiB, 20,000 of 20,000 files
`,
  );
});

const three = [
  progress('db2:/srv', 'receiving', 0.4219, 5.6),
  progress('backup:/b', 'receiving', 0.999999, 0.1),
  progress('db4:/srv', 'done', 1),
];

test('progress on a wide terminal', () => {
  assertLines(
    progressBlock(three, 120, 10, plain),
    `
db2:/srv   ████████░░░░░░░░░░░   42 %  receiving  210 MiB/s   ETA 5.6 s     864 MiB of 2.00 GiB   8,438 of 20,000 files
backup:/b  ██████████████████░   99 %  receiving  210 MiB/s   ETA 0.1 s     2.00 GiB of 2.00 GiB  20,000 of 20,000 files
db4:/srv   ███████████████████  100 %  done                                 2.00 GiB of 2.00 GiB  20,000 of 20,000 files
`,
  );
});

test('no line is wider than the terminal, and no block higher, whatever its size', () => {
  const targets = [...three, progress('a-very-long-host-name.example.org:/srv/deep/directory', 'checking', 0)];
  for (let columns = 1; columns < 200; columns++) {
    for (const rows of [1, 2, 3, 4, 20]) {
      const block = progressBlock(targets, columns, rows, { hasColor: true });
      assert.ok(block.length <= rows, `${block.length} rows of ${rows}`);
      // Below the width of a short name nothing sensible can be shown.
      if (columns >= 12) for (const line of block) assert.ok(widthOf(line) <= columns, `${columns}: ${line}`);
    }
  }
});

test('a usual terminal has a bar, and what else has room', () => {
  assertLines(
    progressBlock(three, 79, 10, plain),
    `
db2:/srv   ██████████░░░░░░░░░░░░░░   42 %  receiving  210 MiB/s   ETA 5.6 s
backup:/b  ███████████████████████░   99 %  receiving  210 MiB/s   ETA 0.1 s
db4:/srv   ████████████████████████  100 %  done
`,
  );
});

test('on a narrow and low terminal the targets at work come first', () => {
  const targets = [...three, progress('db5:/srv', 'failed', 0.1), progress('db6:/srv', 'verifying', 1)];
  assertLines(
    progressBlock(targets, 40, 4, plain),
    `
db2:/srv    42 %  receiving  210 MiB/s
backup:/b   99 %  receiving  210 MiB/s
db6:/srv   100 %  verifying  0 B/s
… and 2 more: 1 failed, 1 done
`,
  );
});

test('an empty copy is at 0 until it is done', () => {
  const empty = { ...progress('a', 'receiving', 0), totalBytes: 0, totalFiles: 0 };
  assert.match(plainProgressLine(empty), /^progress a: 0 %, 0 B of 0 B/);
  assert.match(plainProgressLine({ ...empty, phase: 'done' }), /done, 100 %/);
});

test('the block of a terminal is rewritten in place and leaves the cursor', () => {
  const screen = new Screen();
  assert.equal(screen.draw(['first'], []), 'first\n');
  assert.equal(screen.draw([], ['a', 'b']), '\x1b[?25la\nb\n');
  assert.equal(screen.draw(['second'], ['c']), '\x1b[2A\r\x1b[Jsecond\nc\n');
  assert.equal(screen.end(), '\x1b[1A\r\x1b[J\x1b[?25h');
  assert.equal(screen.draw(['third'], []), 'third\n');
});

test('colours are only there when asked for', () => {
  const result = failedResult('db3:/srv', 'STALLED', 'db3 stalled');
  const coloured = eventLines({ type: 'target-failed', result }, 'normal', { hasColor: true });
  assert.notDeepEqual(coloured, eventLines({ type: 'target-failed', result }, 'normal', plain));
  assert.deepEqual(
    coloured.map((line) => stripVTControlCharacters(line)),
    ['failed   db3:/srv: db3 stalled'],
  );
});

test('text from other hosts cannot move the cursor or turn the writing around', () => {
  assert.equal(printableText('a\x1b[2J\r\u0007b\nc\u202ed\udcff'), 'a\\x1b[2J\\x0d\\x07b\nc\\xe2\\x80\\xaed\\xff');
  assert.deepEqual(printableValue({ a: ['\x1b', 1, null, { b: '\t' }] }), { a: ['\\x1b', 1, null, { b: '\\x09' }] });
});

test('an event as JSON is one line with its time', () => {
  assert.equal(
    jsonLine({ type: 'host', host: 'a\nb', version: '0.1.0' }, 0),
    '{"time":"1970-01-01T00:00:00.000Z","type":"host","host":"a\\nb","version":"0.1.0"}',
  );
});

test('what clean found and did', () => {
  const left = {
    path: '/srv/.baton-x.partial',
    source: 'db1:/srv/data',
    bytes: 300 * MiB,
    createdMs: 0,
    removed: true,
  };
  const busy = { ...left, removed: false, reason: 'a copy is at work there' };
  assertLines(
    cleanLines([left, busy], false, 7_380_000, plain),
    `
removed  /srv/.baton-x.partial  300 MiB of db1:/srv/data, begun 2 h 03 m ago
kept     /srv/.baton-x.partial  300 MiB of db1:/srv/data, begun 2 h 03 m ago: a copy is at work there
removed 1 copy, 300 MiB
`,
  );
  assertLines(
    cleanLines([{ ...left, removed: false }], true, 7_380_000, plain),
    `
found    /srv/.baton-x.partial  300 MiB of db1:/srv/data, begun 2 h 03 m ago
dry run: nothing was removed
`,
  );
  assert.deepEqual(cleanLines([], false, 0, plain), ['nothing is left of any copy there']);
});

test('an agent on its way is told once in a log, with its bytes on a terminal, and where it stays', () => {
  const on = { type: 'carrying', host: 'db1', sentBytes: 0, totalBytes: 47_000_000 } as const;
  assert.deepEqual(eventLines(on, 'normal', plain), ['carrying db1: 44.8 MiB of baton itself']);
  assert.deepEqual(eventLines({ ...on, sentBytes: 23_500_000 }, 'normal', plain), []);
  assert.deepEqual(carryingLines([{ ...on, sentBytes: 23_500_000 }]), ['carrying db1: 22.4 MiB of 44.8 MiB']);
  const end = { type: 'carried', host: 'db1', path: '/home/ops/x', bytes: 47_000_000, durationMs: 3100 } as const;
  assert.deepEqual(eventLines(end, 'normal', plain), ['carried  db1: /home/ops/x after 3.1 s']);
  assert.deepEqual(eventLines(end, 'quiet', plain), []);
});

test('what was forgotten is told by host', () => {
  const agent = { path: '/home/ops/x', bytes: 1_048_576, removed: true };
  assert.deepEqual(forgetLines({ host: 'db1', agents: [agent] }), ['removed  db1: /home/ops/x, 1.00 MiB']);
  assert.deepEqual(
    forgetLines({ host: 'db1', agents: [{ ...agent, removed: false, reason: 'an agent runs from it' }] }),
    ['kept     db1: /home/ops/x: an agent runs from it'],
  );
  assert.deepEqual(forgetLines({ host: 'db1', agents: [] }), ['nothing  db1: no baton was carried there']);
  const error = { code: 'UNREACHABLE', message: 'it did not answer', retryable: true, hint: 'look' } as const;
  assert.deepEqual(forgetLines({ host: 'db1', agents: [], error }), [
    'problem  db1: it did not answer',
    '         hint: look',
  ]);
});
