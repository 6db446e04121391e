// A directory with `wsrep_sst_baton` in it that runs this checkout, for the PATH of a server.
import { chmodSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeMysqlDirectory } from '@batondb/testbed/galera';
import type { Sandbox } from '@batondb/testbed/sandbox';

const entry = resolve(import.meta.dirname, 'sst-process.ts');

/** Returns the directory. */
export async function makeMethod(sandbox: Sandbox): Promise<string> {
  const directory = await makeMysqlDirectory(sandbox, 'method');
  const node = `${process.execPath} --expose-gc --conditions=batondb-source --disable-warning=ExperimentalWarning`;
  const path = `${directory}/wsrep_sst_baton`;
  writeFileSync(path, `#!/bin/sh\nexec ${node} ${entry} "$@"\n`);
  chmodSync(path, 0o755);
  return directory;
}
