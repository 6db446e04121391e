// A directory with `wsrep_sst_baton` in it that runs this checkout, for the PATH of a server.
import { chmodSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeMysqlDirectory } from '@batondb/testbed/galera';
import type { Sandbox } from '@batondb/testbed/sandbox';

const entry = resolve(import.meta.dirname, 'sst-process.ts');

/** How the method is called, besides as servers call it. */
export type MethodOptions = {
  /** Name of the directory. Default: `method`. */
  readonly name?: string;
  /** The donor is told this port of the loopback instead of the joiner's own: something listens there that is between the two. */
  readonly donorPort?: number;
};

/** Returns the directory. */
export async function makeMethod(
  sandbox: Sandbox,
  { name = 'method', donorPort }: MethodOptions = {},
): Promise<string> {
  const directory = await makeMysqlDirectory(sandbox, name);
  const node = `${process.execPath} --expose-gc --conditions=batondb-source --disable-warning=ExperimentalWarning`;
  const path = `${directory}/wsrep_sst_baton`;
  const between = donorPort === undefined ? '' : detour(donorPort);
  writeFileSync(path, `#!/bin/sh\n${between}exec ${node} ${entry} "$@"\n`);
  chmodSync(path, 0o755);
  return directory;
}

/** A ready line has a path behind its port; what a joiner is told has none. */
function detour(port: number): string {
  return `count=$#
while [ $count -gt 0 ]; do
  word=$1; shift; count=$((count - 1))
  case $word in 127.0.0.1:*/1.*) word="127.0.0.1:${port}/\${word#*/}" ;; esac
  set -- "$@" "$word"
done
`;
}
