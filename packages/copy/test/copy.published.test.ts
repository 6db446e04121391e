import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Manifest } from '@batondb/core/protocol/manifest';
import { HaveSet } from '@batondb/core/transfer/have';
import { Layout } from '@batondb/core/transfer/layout';
import { Staging, stagedTreeName } from '@batondb/core/transfer/staging';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { copy } from '../src/copy.ts';
import { formatEndpoint, parseEndpoint } from '../src/endpoint.ts';
import type { CopyEvent } from '../src/events.ts';

/** Leaves a directory as a run leaves it that was killed between the final name and the end of its cleaning up. */
async function publishAndStop(source: string, directory: string): Promise<void> {
  await using pool = new WorkerPool(1);
  const walked = await pool.run({ kind: 'walk', root: Buffer.from(source), exclude: [], oneFileSystem: false });
  const manifest = Manifest.fromShare(walked.manifest);
  const layout = Layout.fromShare(walked.layout);
  const job = { source: formatEndpoint(parseEndpoint(source)), name: Buffer.from('source') };
  using staging = await Staging.open(Buffer.from(directory), job, pool);
  staging.begin({ manifest, layout, have: new HaveSet(layout.unitCount) });
  const tree = {
    parentDescriptor: staging.descriptor,
    rootName: stagedTreeName,
    manifest: walked.manifest,
    layout: walked.layout,
    role: 'staging',
  } as const;
  await pool.runOnAll({ kind: 'open', tree });
  const name = readdirSync(directory)[0] ?? '';
  execFileSync('cp', ['-a', source, join(directory, name, 'tree')]);
  await staging.publish(Buffer.alloc(32, 1), pool);
}

// Proves (R3): a target that an earlier run had published is done at once, and those that were to be fed by it are fed by others.
test('a published target holds up nobody', { timeout: 120_000 }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'baton-published-'));
  try {
    const source = join(base, 'source');
    for (const name of ['source', 'a', 'b', 'c']) mkdirSync(join(base, name));
    for (let index = 0; index < 40; index++)
      writeFileSync(join(source, `file-${index}`), Buffer.alloc(index * 5000, index));
    await publishAndStop(source, join(base, 'a'));
    // That sets access times, and the source stays the same.
    execFileSync('find', [source, '-type', 'f', '-exec', 'cat', '{}', '+'], { stdio: 'ignore' });
    const targets = ['a', 'b', 'c'].map((name) => parseEndpoint(join(base, name)));
    const events: CopyEvent[] = [];
    for await (const event of copy({ source: parseEndpoint(source), targets })) events.push(event);
    const summary = events.find((event) => event.type === 'summary');
    assert.deepEqual(
      summary?.summary.targets.map(({ state }) => state),
      ['done', 'done', 'done'],
    );
    for (const name of ['a', 'b', 'c']) {
      execFileSync('diff', ['-r', source, join(base, name, 'source')]);
      assert.deepEqual(readdirSync(join(base, name)), ['source'], `${name} is cleaned up`);
    }
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
