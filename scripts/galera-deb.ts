import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { version } from '@batondb/core/version';
import { install } from '@batondb/galera/node/install';
import { type NodeLayout, packageLayout } from '@batondb/galera/node/layout';
import { manifestName, planInstallation } from '@batondb/galera/node/plan';
import { runProgram } from '@batondb/galera/node/run-program';
import { findRuntime } from '@batondb/galera/node/runtime';

// npm run build:deb: a Debian package of what `baton galera install` puts on a node, in the places of a distribution.

const help = `Usage: npm run build:deb [-- --out DIRECTORY]

Writes baton-galera_VERSION_ARCHITECTURE.deb into the directory (default: the current one), for this machine's processor.`;

const root = resolve(import.meta.dirname, '..');
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Builds the package and returns its path. */
export async function buildPackage(directory: string, signal: AbortSignal): Promise<string> {
  const entry = pathToFileURL(join(root, 'packages/cli/src/galera/main.ts'));
  const runtime = findRuntime(entry, packageLayout.library);
  const plan = planInstallation(packageLayout, runtime);
  const architecture = architectures[process.arch] ?? process.arch;
  const name = `baton-galera_${version}_${architecture}.deb`;
  const work = mkdtempSync(join(tmpdir(), 'baton-deb-'));
  try {
    const tree = join(work, 'tree');
    mkdirSync(tree, { mode: 0o755 });
    await install({ plan, root: tree }, signal);
    // dpkg has a list of its own.
    rmSync(join(tree, packageLayout.library, manifestName));
    writeControl(join(tree, 'DEBIAN'), architecture, runtime.contentBytes);
    const unfinished = join(directory, `.${name}.new`);
    const argv = ['dpkg-deb', '--root-owner-group', '-Zgzip', '-z4', '--build', tree, unfinished];
    const { code, stderr } = await runProgram(argv, signal, process.env, { msMax: 300_000 });
    if (code !== 0) throw new Error(`dpkg-deb ended with ${code}: ${stderr.trim()}`);
    renameSync(unfinished, join(directory, name));
    return join(directory, name);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function writeControl(directory: string, architecture: string, contentBytes: number): void {
  mkdirSync(directory, { mode: 0o755 });
  const control = `Package: baton-galera
Version: ${version}
Architecture: ${architecture}
Maintainer: The Baton project <baton@localhost>
Section: database
Priority: optional
Installed-Size: ${Math.ceil(contentBytes / 1024)}
Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1, util-linux
Recommends: mariadb-server, mariadb-backup, galera-4
Description: State Snapshot Transfers for Galera Cluster (wsrep_sst_method=baton)
 Hands the state of a cluster's node to one that joins, by a hot backup over
 authenticated TLS, without touching the joiner's old data before the new data
 is complete. Brings its own Node.js.
`;
  writeFileSync(join(directory, 'control'), control, { mode: 0o644 });
  writeFileSync(join(directory, 'postinst'), afterInstallation(packageLayout), { mode: 0o755 });
  writeFileSync(join(directory, 'postrm'), afterRemoval(packageLayout), { mode: 0o755 });
}

const reload = '[ ! -d /run/systemd/system ] || systemctl daemon-reload';

function afterInstallation({ programs, key }: NodeLayout): string {
  return `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
if getent group mysql >/dev/null; then
  ${programs}/baton galera key --create
else
  echo 'baton-galera: install the server, then run: baton galera key --create' >&2
fi
echo 'baton-galera: every node needs the same ${key}, and wsrep_sst_method=baton; then: baton galera check'
${reload}
`;
}

function afterRemoval({ key }: NodeLayout): string {
  return `#!/bin/sh
set -e
[ "$1" != purge ] || rm -f ${key}
${reload}
`;
}

if (import.meta.main) {
  const options = { help: { type: 'boolean' }, out: { type: 'string', default: '.' } } as const;
  const { values } = parseArgs({ options });
  if (values.help) console.log(help);
  else console.log(await buildPackage(resolve(values.out), new AbortController().signal));
}
