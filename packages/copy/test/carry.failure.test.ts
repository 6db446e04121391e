// Proves: what a host says of itself is judged before anything is sent, what it says of its directories becomes one error with the
// next step, and a script's lines are found in whatever a login prints.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatonError } from '@batondb/core/errors';
import { explainFarSide, readProblem } from '../src/remote/carry-failure.ts';
import { FarOutput, type FarReport } from '../src/remote/far-reports.ts';
import { piecesForMachine } from '../src/remote/machine.ts';

const request = { ssh: ['ssh'], endpoint: { host: 'db1', user: undefined }, agent: 'auto', sudo: false };

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

test('machines that no agent of ours runs on', () => {
  for (const [machine, why] of [
    ['x86_64 musl', /C library is musl, and an agent needs glibc/],
    ['x86_64 other', /C library is not glibc/],
    ['riscv64 glibc 2.36', /processor is riscv64/],
    ['i686 glibc 2.36', /processor is i686/],
    ['x86_64 glibc 2.17', /glibc is 2\.17, and an agent needs 2\.28/],
    ['', /processor is /],
  ] as const) {
    assert.throws(
      () => piecesForMachine(machine),
      (error: BatonError) => {
        assert.equal(error.code, 'UNSUPPORTED');
        assert.match(error.message, why);
        assert.match(error.hint ?? '', /--agent/);
        return true;
      },
    );
  }
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  for (const library of ['glibc', 'glibc 2.28', 'glibc 3.1']) {
    assert.equal(piecesForMachine(`${machine} ${library}`).processor, process.arch);
  }
});

test('the first problem gives the code, and all are named', () => {
  const explain = (...lines: readonly (readonly ['PLACE' | 'FAILED', string])[]) =>
    explainFarSide(
      request,
      lines.map(([report, text]) => readProblem(report, text)),
    );
  const cases = [
    ['WRITE /c: mkdir: cannot create directory: No space left on device', 'NO_SPACE'],
    ['WRITE /c: mkdir: cannot create directory: Disk quota exceeded', 'NO_SPACE'],
    ['WRITE /c: mkdir: cannot create directory: Read-only file system', 'READ_ONLY'],
    ['WRITE /c: mkdir: cannot create directory: Permission denied', 'NO_PERMISSION'],
    ['WRITE sh: 1: gzip: not found', 'UNSUPPORTED'],
    ['WRITE what nobody foresaw', 'SYSTEM'],
    ['SPACE /c: 9 KiB are needed and 1 are free', 'NO_SPACE'],
    ['NOEXEC /c: Permission denied', 'UNSUPPORTED'],
    ['UNSAFE /c: others can write to /', 'NOT_TRUSTED'],
  ] as const;
  for (const [text, code] of cases) {
    const error = explain(['PLACE', text], ['PLACE', 'UNSAFE /d: it belongs to user 7']);
    assert.equal(error?.code, code, text);
    assert.match(error.message, /no directory there can have it: .*; \/d: it belongs to user 7$/);
    assert.match(error.hint ?? '', /XDG_CACHE_HOME|look at/);
    assert.equal(error.host, 'db1');
  }
  const cut = explain(['PLACE', cases[0][0]], ['FAILED', 'CUT 3 of 5 bytes arrived']);
  assert.deepEqual([cut?.code, cut?.retryable], ['UNREACHABLE', true]);
  assert.equal(explain(), undefined);
});

test('lines among the noise of a login', async () => {
  const text = `Welcome! BATON-00 WANTS\nBATON-77 MACHINE x86_64 glibc 2.36\n\u0000\u00ffmore BATON-77 NOWHERE\nend\nBATON AGENT\nframes`;
  for (const size of [1, 7, 1000]) {
    const bytes = Buffer.from(text, 'latin1');
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    const output = new FarOutput(
      (async function* () {
        yield* chunks;
      })(),
      '77',
    );
    const reports: FarReport[] = await all(output.reports());
    assert.deepEqual(reports, [
      { kind: 'MACHINE', text: 'x86_64 glibc 2.36' },
      { kind: 'NOWHERE', text: '' },
    ]);
    assert.equal(Buffer.concat(await all(output.rest())).toString('latin1'), 'end\nBATON AGENT\nframes');
  }
});
