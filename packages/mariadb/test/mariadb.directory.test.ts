// Where a backup may be unpacked, judged beside real servers.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMariadb } from '@batondb/testbed/mariadb';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkEmptyDataDirectory } from '../src/index.ts';

const timeout = 60_000;

// Proves: empty is empty, but for lost+found and what the caller names; a refusal names what is there.
test('empty or not', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('data');
  await assert.rejects(checkEmptyDataDirectory(directory), { code: 'NOT_FOUND' });
  writeFileSync(sandbox.join('file'), '');
  await assert.rejects(checkEmptyDataDirectory(sandbox.join('file')), { code: 'NOT_A_DIRECTORY' });
  mkdirSync(directory);
  await checkEmptyDataDirectory(directory);
  mkdirSync(join(directory, 'lost+found'));
  await checkEmptyDataDirectory(`${directory}/`);
  mkdirSync(join(directory, '.staged'));
  await checkEmptyDataDirectory(directory, ['.staged']);
  await assert.rejects(checkEmptyDataDirectory(directory), {
    code: 'EXISTS',
    message: `${directory} is not empty: it has .staged`,
  });
  for (let index = 0; index < 7; index++) writeFileSync(join(directory, `file-${index}`), '');
  await assert.rejects(checkEmptyDataDirectory(directory), { message: /file-0, file-1, file-2, file-3 and 3 more$/ });
});

// Proves: the data directory of a running server is refused by every name, also after somebody emptied it (M4), and free once
// the server has ended.
test("a running server's directory", { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startMariadb(sandbox, { name: 'alive' });
  const { dataDirectory, pid } = server;
  const refusal = {
    code: 'IN_USE',
    message: `${dataDirectory} is the data directory of a running server, process ${pid}`,
  };
  await assert.rejects(checkEmptyDataDirectory(dataDirectory), refusal);
  symlinkSync(dataDirectory, sandbox.join('link'));
  await assert.rejects(checkEmptyDataDirectory(sandbox.join('link')), refusal);
  await assert.rejects(checkEmptyDataDirectory(sandbox.join('link', '..', 'link')), refusal);
  await checkEmptyDataDirectory(makeEmpty(sandbox.join('beside')));

  rmSync(dataDirectory, { recursive: true });
  mkdirSync(dataDirectory);
  await assert.rejects(checkEmptyDataDirectory(dataDirectory), refusal);
  await server.kill();
  await checkEmptyDataDirectory(dataDirectory);
});

// Proves: a server is found by its locks alone, when its process cannot be looked into, and the files of one that has ended are
// only files.
test('a server that only its locks tell of', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startMariadb(sandbox, { name: 'locks' });
  // What another user of the machine can see is asked as that user.
  const script = `
    import { checkEmptyDataDirectory } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)};
    process.setgid(65534); process.setgroups([]); process.setuid(65534);
    await checkEmptyDataDirectory(${JSON.stringify(server.dataDirectory)}).then(() => console.log('free'), (error) => console.log(error.code));
  `;
  chmodSync(server.dataDirectory, 0o755);
  const { mustRun } = await import('@batondb/testbed/processes');
  const argv = [process.execPath, '--conditions=batondb-source', '--input-type=module', '--eval', script];
  assert.equal((await mustRun(argv)).stdout.trim(), 'IN_USE');
  await server.stop();
  assert.equal((await mustRun(argv)).stdout.trim(), 'EXISTS');
});

function makeEmpty(path: string): string {
  mkdirSync(path);
  return path;
}
