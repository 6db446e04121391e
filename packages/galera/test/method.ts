// A directory with `wsrep_sst_baton` in it that runs this checkout, for the PATH of a server.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeMysqlDirectory } from '@batondb/testbed/galera';
import type { Sandbox } from '@batondb/testbed/sandbox';

const entry = resolve(import.meta.dirname, 'sst-process.ts');

/** A donor that is told of a joiner, whose address has a path behind its port, goes to the port in the file instead, if there is one. */
const detour = `if [ -r "$0.port" ]; then
  port=$(cat "$0.port")
  count=$#
  while [ $count -gt 0 ]; do
    word=$1; shift; count=$((count - 1))
    case $word in 127.0.0.1:*/1.*) word="127.0.0.1:$port/\${word#*/}" ;; esac
    set -- "$@" "$word"
  done
fi
`;

/** Servers put the system's programs before others for what they start. */
const tools = '[ -z "$BATON_TEST_TOOLS" ] || PATH=$BATON_TEST_TOOLS:$PATH\n';

/** Returns the directory. Programs in the directory that the server's variable BATON_TEST_TOOLS names go before the system's. */
export async function makeMethod(sandbox: Sandbox): Promise<string> {
  const directory = await makeMysqlDirectory(sandbox, 'method');
  const node = `${process.execPath} --conditions=batondb-source --disable-warning=ExperimentalWarning`;
  const path = `${directory}/wsrep_sst_baton`;
  writeFileSync(path, `#!/bin/sh\n${tools}${detour}exec ${node} ${entry} "$@"\n`);
  chmodSync(path, 0o755);
  return directory;
}

/** From now on donors connect to this port of the loopback, where something stands between them and their joiner; undefined: to the joiner. */
export function detourDonors(directory: string, port: number | undefined): void {
  const path = `${directory}/wsrep_sst_baton.port`;
  if (port === undefined) rmSync(path, { force: true });
  else writeFileSync(path, String(port));
}
