// Proves: a survey tells a tree as the walk has it, with its files open, and their digests are those of their units.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { digestRange, unitRuns, zeroUnitDigest } from '../src/files/digest-file.ts';
import { type OpenedFile, Survey, type SurveyOptions, type SurveyStep } from '../src/files/survey.ts';
import { limits } from '../src/limits.ts';
import type { Extent } from '../src/protocol/entry.ts';
import { runs } from './property.ts';

const mib = limits.unitBytes;
let base = '';
before(() => {
  base = mkdtempSync(join(tmpdir(), 'baton-survey-'));
  mkdirSync(join(base, 'tree/b/c'), { recursive: true });
  writeFileSync(join(base, 'tree/a'), Buffer.alloc(2 * mib + 5, 'content'));
  writeFileSync(join(base, 'tree/b/c/x'), 'x');
  writeFileSync(join(base, 'tree/empty'), '');
  linkSync(join(base, 'tree/b/c/x'), join(base, 'tree/b/y'));
  linkSync(join(base, 'tree/b/c/x'), join(base, 'tree/z'));
  symlinkSync('b/c', join(base, 'tree/link'));
  execFileSync('mkfifo', [join(base, 'tree/pipe')]);
});
after(() => rmSync(base, { recursive: true, force: true }));

function survey(options: Partial<SurveyOptions> = {}, count: number = 3): SurveyStep[] {
  const root = Buffer.from(join(base, 'tree'));
  const all = new Survey({ root, exclude: [], oneFileSystem: false, content: false, ...options });
  const steps: SurveyStep[] = [];
  for (let more = all.next(count); ; more = all.next(count)) {
    steps.push(...more);
    if (more.length < count) return steps;
  }
}

function read(file: OpenedFile): ReturnType<typeof digestRange> {
  return digestRange({ file, offset: 0, length: file.sizeBytes, isLast: true }, new Uint8Array(mib));
}

const text = (base64: string): string => Buffer.from(base64, 'base64').toString();

test('what is where, and which names are one file', () => {
  const told = survey().map(({ item }) => {
    const what = item.type === 'entry' ? item.kind : item.type === 'hardlink' ? `= ${text(item.link)}` : item.why;
    return `${item.depth} ${text(item.name)} ${what}`;
  });
  assert.deepEqual(told, [
    '0  directory',
    '1 a file',
    '1 b directory',
    '2 c directory',
    '3 x file',
    '2 y = b/c/x',
    '1 empty file',
    '1 link symlink',
    '1 pipe fifo',
    '1 z = b/c/x',
  ]);
  assert.equal(survey({}, 100).length, 10);
  const apart = survey({ hardlinks: false, content: true }).filter(({ file }) => file !== undefined);
  assert.deepEqual(
    apart.map(({ item }) => text(item.name)),
    ['a', 'x', 'y', 'z'],
  );
  for (const { file } of apart) if (file !== undefined) assert.equal(read(file).isChanged, false);
});

test('digests of units, and a file that is written to meanwhile', () => {
  const path = join(base, 'tree/a');
  const open = (): OpenedFile => {
    const file = survey({ content: true, exclude: ['b', 'z'] }).find(({ item }) => text(item.name) === 'a')?.file;
    assert.ok(file !== undefined);
    return file;
  };
  const content = readFileSync(path);
  const expected = [0, mib, 2 * mib].map((at) => Buffer.from(blake3(content.subarray(at, at + mib))).toString('hex'));
  assert.deepEqual(read(open()), { digests: expected.join(''), isChanged: false });
  const grown = open();
  appendFileSync(path, 'more');
  assert.equal(read(grown).isChanged, true);
  const cut = open();
  truncateSync(path, mib);
  const { digests, isChanged } = read(cut);
  assert.equal(isChanged, true);
  assert.equal(digests.length, 3 * 64);
  assert.ok(digests.slice(64).startsWith(zeroUnitDigest));
});

// Proves: however data and holes lie, every unit is in one run, in order, and a hole has no data in it.
test('runs of units', () => {
  const extents = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 5 * mib }), fc.integer({ min: 1, max: 9 * mib })), { maxLength: 6 })
    .map((pairs) => {
      let at = 0;
      return pairs.map(([gap, length]): Extent => {
        const extent = { offset: at + gap, length };
        at += gap + length;
        return extent;
      });
    });
  fc.assert(
    fc.property(fc.option(extents, { nil: undefined }), fc.nat(6 * mib), (data, tail) => {
      const last = data?.at(-1);
      const sizeBytes = (last === undefined ? 0 : last.offset + last.length) + tail;
      let unit = 0;
      for (const { firstUnit, count, isHole } of unitRuns(sizeBytes, data, 4)) {
        assert.equal(firstUnit, unit);
        assert.ok(count > 0 && (isHole || count <= 4));
        unit += count;
        const [start, end] = [firstUnit * mib, unit * mib];
        const hasData =
          data === undefined || data.some(({ offset, length }) => offset < end && offset + length > start);
        if (isHole) assert.ok(!hasData && end <= sizeBytes);
      }
      assert.equal(unit, Math.ceil(sizeBytes / mib));
    }),
    runs(200),
  );
});
