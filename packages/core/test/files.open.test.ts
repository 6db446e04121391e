// Proves: an open directory shows all that is in it at every look, not only at the first; so does the check that nothing has appeared
// in a target directory, which looks before unpacking and again before moving.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { occupantOf } from '../src/archive/empty-target.ts';
import { close } from '../src/files/libc.ts';
import { printable } from '../src/files/names.ts';
import { listDirectory, openDirectory } from '../src/files/open.ts';

test('an open directory is seen whole at every look', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-open-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const descriptor = openDirectory(Buffer.from(directory));
  t.after(() => close(descriptor));
  const job = { source: 'db1:/srv/x.tar', name: Buffer.from('x.tar') };
  const occupant = (): Uint8Array | undefined => occupantOf(descriptor, job, undefined);
  assert.equal(occupant(), undefined);
  writeFileSync(join(directory, 'late'), '');
  for (const look of ['first', 'second']) {
    assert.deepEqual(listDirectory(descriptor, () => directory).map(printable), ['late'], look);
    assert.equal(printable(occupant() ?? Buffer.of()), 'late', look);
  }
});
