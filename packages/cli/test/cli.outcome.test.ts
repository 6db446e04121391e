// Proves: the exit code is the gravest of what happened, by cause and by when it happened; the documentation names them all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { BatonError, type ErrorCode, errorCodes } from '@batondb/core/errors';
import { exitCodeMeanings, exitCodeOf, exitCodes } from '../src/exit-codes.ts';
import { type Outcome, outcomeAtStart, withEvent, withInterruption, withThrown } from '../src/outcome.ts';
import { changeOf, failedResult, finding, plan, summaryOf } from './events.ts';

function outcomeOf(...events: CopyEvent[]): Outcome {
  return events.reduce(withEvent, outcomeAtStart);
}

const planned: CopyEvent = { type: 'plan', plan, dryRun: false };

test('a copy without failures is 0, also when it is a dry run', () => {
  assert.equal(outcomeOf(planned, { type: 'summary', summary: summaryOf() }).exitCode, 0);
  assert.deepEqual(outcomeOf({ type: 'plan', plan, dryRun: true }), outcomeAtStart);
});

test('what preflight finds is a refusal, whatever it is', () => {
  for (const code of ['UNREACHABLE', 'NO_SPACE', 'EXISTS', 'NOT_TRUSTED', 'VERSION_MISMATCH'] as const) {
    const outcome = withThrown(outcomeOf({ type: 'findings', findings: [finding(code)] }), new BatonError(code, 'x'));
    assert.deepEqual(outcome, { exitCode: 30, hasMoved: false, canRerun: false }, code);
  }
  const warning = { ...finding('NO_PERMISSION'), severity: 'warning' as const };
  assert.equal(outcomeOf({ type: 'findings', findings: [warning] }, planned).exitCode, 0);
});

test('the same cause in mid-copy is a failure of its own kind', () => {
  const cases: [ErrorCode, number, boolean][] = [
    ['NO_SPACE', 40, true],
    ['EXISTS', 40, true],
    ['SYSTEM', 40, true],
    ['CONNECTION_LOST', 50, true],
    ['STALLED', 50, true],
    ['DIGEST_MISMATCH', 60, true],
    ['NOT_TRUSTED', 60, true],
    ['BUG', 70, false],
    ['INTERRUPTED', 130, true],
  ];
  for (const [code, exitCode, canRerun] of cases) {
    const outcome = outcomeOf(planned, { type: 'target-failed', result: failedResult('db2', code) });
    assert.deepEqual(outcome, { exitCode, hasMoved: true, canRerun }, code);
  }
});

test('the worst of several wins, in any order', () => {
  const lost = failedResult('db2', 'STALLED');
  const full = failedResult('db3', 'NO_SPACE');
  const changed: CopyEvent = { type: 'source-change', change: changeOf('a') };
  for (const targets of [
    [lost, full],
    [full, lost],
  ]) {
    const summary = summaryOf({ targets, changes: [changeOf('a')], changesTotal: 1 });
    assert.equal(outcomeOf(planned, changed, { type: 'summary', summary }).exitCode, 50);
  }
  assert.equal(outcomeOf(planned, changed).exitCode, 20);
});

test('a signal is told as a shell tells it, and says how to go on once something moved', () => {
  assert.deepEqual(withInterruption(outcomeOf(planned), 143), { exitCode: 143, hasMoved: true, canRerun: true });
  assert.equal(withInterruption(outcomeAtStart, 130).canRerun, false);
});

test('what is no BatonError is a bug', () => {
  assert.equal(withThrown(outcomeOf(planned), new TypeError('x is not a function')).exitCode, 70);
});

test('usage and interruption are themselves before the plan too', () => {
  assert.equal(exitCodeOf('USAGE', false), 2);
  assert.equal(exitCodeOf('BAD_ENDPOINT', true), 2);
  assert.equal(exitCodeOf('INTERRUPTED', false), 130);
  assert.equal(exitCodeOf('BUG', false), 70);
});

test('the documentation names every exit code, and every error code on the line of its exit code', () => {
  const lines = readFileSync(new URL('../../../docs/exit-codes.md', import.meta.url), 'utf8').split('\n');
  const lineOf = (exitCode: number): string => lines.find((line) => line.startsWith(`| ${exitCode} |`)) ?? '';
  for (const exitCode of Object.values(exitCodes)) {
    assert.notEqual(lineOf(exitCode), '', String(exitCode));
    assert.ok(exitCodeMeanings.some(([code]) => code === exitCode));
  }
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    assert.ok(lineOf(exitCodeOf(code, true)).includes(`\`${code}\``), code);
  }
});
