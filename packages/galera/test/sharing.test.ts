// Proves: whether a file system shares blocks is tried before anybody is troubled, and told by its name; nothing is left of the trial.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkRoom, neededRoom } from '../src/joiner/room.ts';
import { checkSharedMethod, checkSharing } from '../src/joiner/sharing.ts';
import { openStaging } from '../src/state/staging.ts';

const mebibyte = 1024 * 1024;
const timeout = 60_000;

function failureOf(run: () => void): BatonError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof BatonError, String(error));
    return error;
  }
}

test('file systems that share blocks, and others', { timeout }, async () => {
  await using sandbox = makeSandbox();
  for (const kind of ['xfs', 'btrfs', 'ext4', 'tmpfs'] as const) {
    const sizeBytes = (kind === 'xfs' || kind === 'btrfs' ? 320 : 16) * mebibyte;
    await using disk = await smallFileSystem(sandbox, sandbox.join(kind), { kind, sizeBytes });
    const dataDirectory = `${disk.path}/data`;
    mkdirSync(dataDirectory);
    using staging = openStaging(dataDirectory, { make: true });
    const failure = failureOf(() => checkSharing(staging));
    assert.deepEqual(readdirSync(staging.path), []);
    if (kind === 'xfs' || kind === 'btrfs') {
      assert.equal(failure, undefined);
      continue;
    }
    assert.equal(failure?.code, 'UNSUPPORTED');
    assert.match(failure.message, new RegExp(`space=reflink .*/data is on ${kind}, which does not share`));
    assert.match(failure.hint ?? '', /space=double or space=in-place/);
  }
});

test('what is asked for before the data comes', () => {
  assert.equal(neededRoom('double', 1000 * mebibyte), (1000 + 50 + 256) * mebibyte);
  assert.equal(neededRoom('reflink', 1000 * mebibyte), (50 + 256) * mebibyte);
  const failure = failureOf(() => checkRoom('/', 1e18, 'reflink'));
  assert.equal(failure?.code, 'NO_SPACE');
  assert.match(failure.message, /which takes .* at least, if it shares all with the old data/);
});

test('only a backup shares', () => {
  for (const space of ['double', 'in-place', 'reflink'] as const) checkSharedMethod(space, 'backup');
  for (const space of ['double', 'in-place'] as const) checkSharedMethod(space, 'files');
  for (const method of ['files', 'logical'])
    assert.match(
      failureOf(() => checkSharedMethod('reflink', method))?.message ?? '',
      new RegExp(`method is ${method}`),
    );
});
