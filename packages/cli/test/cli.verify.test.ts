import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint } from '@batondb/copy/endpoint';
import type { Difference, VerifyEvent, VerifyResult } from '@batondb/copy/verify/events';
import { BatonError } from '@batondb/core/errors';
import { parseCommandLine } from '../src/command-line.ts';
import { differenceLine } from '../src/render/verify.ts';
import { exitCodeOfEvent } from '../src/run-verify.ts';
import type { VerifyRequest } from '../src/verify-command.ts';

function parse(...words: readonly string[]): VerifyRequest {
  const request = parseCommandLine(['verify', ...words]);
  assert.ok(request.kind === 'verify');
  return request;
}

// Proves: the operands are those of a copy, and every option reaches the library under its name.
test('the command line of verify', () => {
  const plain = parse('db1:/srv/data', 'db2:/srv');
  assert.deepEqual([plain.options.quick, plain.options.ignore, plain.options.priority], [false, [], 'low']);
  assert.deepEqual([plain.shownMax, plain.view], [50, { form: 'human', volume: 'normal' }]);
  const words =
    '--as other --exclude *.log --exclude /cache --one-file-system --quick --ignore owner,times --ignore extra';
  const more = '--priority normal --show 3 --sudo-on db2 --agent /opt/baton --ssh my-shell --json --dry-run';
  const { plan, options, shownMax, view } = parse(
    ...`${words} ${more}`.split(' '),
    'root@db1:/srv/data/',
    'db2:/srv',
    'db3:/srv',
  );
  assert.deepEqual([plan.source, ...plan.targets].map(formatEndpoint), ['root@db1:/srv/data', 'db2:/srv', 'db3:/srv']);
  assert.deepEqual(options, {
    ...{ as: 'other', exclude: ['*.log', '/cache'], oneFileSystem: true, quick: true },
    ...{ ignore: ['owner', 'times', 'extra'], priority: 'normal', dryRun: true },
    ...{ ssh: ['my-shell'], agent: '/opt/baton', sudo: ['db2'] },
  });
  assert.deepEqual([shownMax, view.form], [3, 'json']);
});

const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [['a:/x'], /missing required argument 'targets'/],
  [['a:/x', 'b:/y', 'b:/y'], /given twice/],
  [['a:/', 'b:/y'], /has no name of its own/],
  [['--ignore', 'content', 'a:/x', 'b:/y'], /--ignore is extra or .* not 'content'/],
  [['--ignore', 'time', 'a:/x', 'b:/y'], /not 'time'/],
  [['--show', 'all', 'a:/x', 'b:/y'], /--show is a whole number/],
  [['--bwlimit', '1MB', 'a:/x', 'b:/y'], /unknown option '--bwlimit'/],
];
for (const [words, message] of refused) {
  test(`refused: verify ${words.join(' ')}`, () => {
    assert.throws(
      () => parse(...words),
      (error) => error instanceof BatonError && error.code === 'USAGE' && message.test(error.message),
    );
  });
}

const lines: readonly (readonly [Difference, string])[] = [
  [{ what: 'missing', path: 'a', entries: 1 }, 'missing    db2:/srv: a'],
  [{ what: 'extra', path: 'log', entries: 1235 }, 'extra      db2:/srv: log, with 1,234 entries in it'],
  [
    {
      what: 'content',
      path: 'base/1',
      units: {
        first: [
          { offset: 1_048_576, length: 1_048_576 },
          { offset: 2_097_152, length: 10 },
        ],
        total: 7,
      },
    },
    'content    db2:/srv: base/1: 7 units differ (1.00 MiB at 1048576, 10 B at 2097152, …)',
  ],
  [
    { what: 'owner', path: '.', source: '0:0', target: '33:33' },
    'owner      db2:/srv: .: 0:0 at the source, 33:33 here',
  ],
  [
    { what: 'unreadable', path: 'x', side: 'target', reason: 'EIO' },
    'unreadable db2:/srv: x cannot be read on the target (EIO)',
  ],
  [
    { what: 'changed-meanwhile', path: 'x', side: 'both' },
    'changed-meanwhile db2:/srv: x, on both sides, while it was read',
  ],
];
for (const [difference, line] of lines) {
  test(`shown: ${line}`, () => {
    assert.equal(differenceLine('db2:/srv', difference, { hasColor: false }), line);
  });
}

// Proves: a difference is graver than what is not known, and a target that was lost graver than both: nothing of them ends with 0.
test('exit codes', () => {
  const summary = (...states: readonly VerifyResult['state'][]): VerifyEvent => ({
    type: 'verify-summary',
    summary: {
      ...{ source: 'a:/x', entries: 1, files: 1, bytes: 1, durationMs: 1 },
      targets: states.map((state) => ({
        ...{ target: 'b:/y', path: 'b:/y/x', state, differences: 0, unknown: 0 },
        ...(state === 'failed'
          ? { error: { code: 'CONNECTION_LOST', message: 'lost', retryable: true } as const }
          : {}),
      })),
    },
  });
  assert.equal(exitCodeOfEvent(summary('same', 'same')), 0);
  assert.equal(exitCodeOfEvent(summary('same', 'incomplete')), 20);
  assert.equal(exitCodeOfEvent(summary('incomplete', 'different', 'same')), 25);
  assert.equal(exitCodeOfEvent(summary('failed', 'different')), 50);
  const error = { code: 'NOT_FOUND', message: 'not there', retryable: false } as const;
  assert.equal(exitCodeOfEvent({ type: 'findings', findings: [{ severity: 'error', host: 'b', error }] }), 30);
});
