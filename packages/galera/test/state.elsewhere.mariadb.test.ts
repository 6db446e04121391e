import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkLayout } from '../src/state/check-layout.ts';
import type { DataLayout } from '../src/state/layout.ts';
import { settle } from '../src/state/settle.ts';
import { openStaging } from '../src/state/staging.ts';
import { runChild } from './state.kills.ts';
import { contentOf, layOut, makeData } from './state.servers.ts';

const layout: Omit<DataLayout, 'dataDirectory'> = {
  innodbDataHome: '../home',
  innodbLogHome: '../redo',
  innodbUndo: '../undo',
  ariaLog: '../redo',
  binlog: '../logs/binlog',
};
const options = [
  '--innodb-data-home-dir=../home',
  '--innodb-log-group-home-dir=../redo',
  '--innodb-undo-directory=../undo',
  '--aria-log-dir-path=../redo',
  '--log-bin=../logs/binlog',
  '--innodb-undo-tablespaces=2',
];

// Proves (G2): a server that keeps parts of its data in other directories, one of them on another file system, refuses to start on a swap that was killed,
// and has the new data whole once that is ended; nothing is left in any of the directories.
test('a swap over several directories and file systems', async () => {
  await using sandbox = makeSandbox();
  const [old, fresh] = [await makeData(sandbox, 'old', 100), await makeData(sandbox, 'new', 300)];
  const directories = ['home', 'redo', 'undo', 'logs'].map((name) => sandbox.join(name));
  for (const directory of directories) mkdirSync(directory);
  await using _home = await smallFileSystem(sandbox, sandbox.join('home'), { kind: 'tmpfs' });
  const data = await layOut(sandbox);
  const move = async (pattern: string, to: string): Promise<void> => {
    await mustRun(['sh', '-c', `mv ${data}/${pattern} ${sandbox.join(to)}/`]);
  };
  await move('ibdata1', 'home');
  await move('ib_logfile0', 'redo');
  await move('undo*', 'undo');
  await move('aria_log*', 'redo');
  // An index names its logs by their old paths.
  await mustRun(['sh', '-c', `rm ${data}/binlog.*`]);
  assert.equal(await contentOf(sandbox, data, options), old.rows);
  {
    using staging = openStaging(data, { make: true });
    checkLayout(staging, { dataDirectory: data, ...layout });
  }
  assert.equal(await contentOf(sandbox, data, options), old.rows);
  // Past the exchange of the guard, and some of the moves.
  assert.ok(await runChild({ dataDirectory: data, step: 'swap', layout }, { call: 'renameat2', nth: 12 }));
  assert.ok(statSync(sandbox.join('home/ibdata1')).isDirectory());
  assert.equal(await contentOf(sandbox, data, options), undefined);
  {
    using staging = openStaging(data, { make: true });
    assert.equal(settle(staging), 'finished');
  }
  assert.equal(await contentOf(sandbox, data, options), fresh.rows);
  assert.ok(!existsSync(join(data, 'ibdata1')) && !existsSync(join(data, 'ib_logfile0')));
  for (const directory of directories) {
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.startsWith('.')),
      [],
      directory,
    );
  }
});
