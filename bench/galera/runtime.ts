import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { localLayout, runtimeProgram } from '@batondb/galera/node/layout';
import { mustRun } from '@batondb/testbed/processes';

const root = resolve(import.meta.dirname, '../..');
/** What scripts/build.ts writes: what runs where Baton is installed, and not the sources, which take longer to start. */
const builtDoor = 'packages/cli/built/cli/src/galera/main.js';

/**
 * Installs Baton below a directory, as `baton galera install` does on a node. Returns the directory with `wsrep_sst_baton`: what is
 * installed below another root names its places without that root, so the script is a copy that names them with it. Into `profiles`, which user
 * mysql may write to, go profiles of its processes.
 */
export async function installBaton(directory: string, profiles: string | undefined): Promise<string> {
  const installed = join(directory, 'installed');
  const programs = join(directory, 'programs');
  for (const path of [installed, programs]) mkdirSync(path);
  await mustRun([process.execPath, join(root, builtDoor), 'galera', 'install', `--root=${installed}`]);
  const script = readFileSync(join(installed, localLayout.programs, 'wsrep_sst_baton'), 'utf8');
  const path = join(programs, 'wsrep_sst_baton');
  writeFileSync(path, script.replaceAll(localLayout.library, join(installed, localLayout.library)));
  chmodSync(path, 0o755);
  if (profiles !== undefined) {
    const program = join(installed, runtimeProgram(localLayout));
    const flags = `--cpu-prof --cpu-prof-dir='${profiles}'`;
    writeFileSync(program, readFileSync(program, 'utf8').replace('/node" ', `/node" ${flags} `));
  }
  return programs;
}
