import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { copy } from '../src/copy.ts';
import { parseEndpoint } from '../src/endpoint.ts';
import type { CopyEvent } from '../src/events.ts';

/** A remote shell, by its documented contract, whose far side runs the agent that alters what it passes on. */
function makeShell(base: string): string {
  const path = join(base, 'shell');
  const agent = new URL('hostile-relay.ts', import.meta.url).pathname;
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' --conditions=batondb-source '${agent}' agent\n`);
  chmodSync(path, 0o755);
  return path;
}

// Proves (R4): a relay that alters content and its digest is found out, because the source says what it sent.
test('a target behind a hostile relay counts as failed', { timeout: 120_000 }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'baton-hostile-'));
  try {
    for (const name of ['source', 'a', 'b']) mkdirSync(join(base, name));
    writeFileSync(join(base, 'source', 'file'), Buffer.alloc(3_000_000, 'abc'));
    const targets = [parseEndpoint(`relay:${join(base, 'a')}`), parseEndpoint(join(base, 'b'))];
    const events: CopyEvent[] = [];
    const plan = { source: parseEndpoint(join(base, 'source')), targets };
    for await (const event of copy(plan, { ssh: [makeShell(base)], compress: { mode: 'none' } })) events.push(event);
    const summary = events.find((event) => event.type === 'summary')?.summary;
    assert.deepEqual(
      summary?.targets.map(({ state, error }) => [state, error?.code]),
      [
        ['done', undefined],
        ['failed', 'DIGEST_MISMATCH'],
      ],
    );
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
