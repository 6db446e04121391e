import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '@batondb/core/version';
import { chooseTool } from '@batondb/mariadb';
import { formatVersion } from '@batondb/mariadb/version';
import { localLayout, type NodeLayout, packageLayout, runtimeProgram } from '../layout.ts';
import { runProgram } from '../run-program.ts';
import { sandboxKind } from '../service-sandbox.ts';
import { verifyScript } from '../verify-runtime.ts';
import { type CheckFinding, findingOf, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

const install = 'run: sudo baton galera install';

/** The programs that a transfer starts: those that fit the server. */
export async function checkPrograms(
  { version: server, searchPath, read }: Node,
  signal: AbortSignal,
): Promise<CheckFinding[]> {
  if (server === undefined) {
    return [problem('server', 'this machine has no mariadbd', 'apt-get install mariadb-server galera-4')];
  }
  const ofServer = ok('server', `${formatVersion(server)}`);
  try {
    const { program, version: tool } = await chooseTool(server, signal, searchPath);
    return [ofServer, ok('backup tool', `${program}, ${tool.text}`)];
  } catch (error) {
    const found = findingOf('backup tool', error);
    // The other methods need none; a joiner takes what its donor gives.
    const isNeeded = (read?.settings.method ?? 'backup') === 'backup';
    return [ofServer, isNeeded ? found : { ...found, severity: 'warning' }];
  }
}

/** The script that the server starts, and the runtime behind it. */
export async function checkScript({ searchPath }: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  const script = searchPath
    .split(':')
    .map((directory) => join(directory, 'wsrep_sst_baton'))
    .find(isExecutable);
  if (script === undefined) {
    return [problem('script', `wsrep_sst_baton is nowhere on the server's path, ${searchPath}`, install)];
  }
  const layout = [localLayout, packageLayout].find(({ library }) => existsSync(join(library, 'current')));
  if (layout === undefined) return [problem('script', `${script} is there, and its runtime is not`, install)];
  return [await tryScript(script, signal), await checkRuntime(layout, signal), ...checkUnit(layout)];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function tryScript(script: string, signal: AbortSignal): Promise<CheckFinding> {
  if (process.geteuid?.() !== 0) {
    return warning('script', `${script}: only root can try it as user mysql`, 'run the check with sudo');
  }
  try {
    await verifyScript(sandboxKind(), signal);
    return ok('script', `${script} runs as user mysql`);
  } catch (error) {
    return findingOf('script', error);
  }
}

async function checkRuntime(layout: NodeLayout, signal: AbortSignal): Promise<CheckFinding> {
  const { stdout, stderr, code } = await runProgram([runtimeProgram(layout), '--version'], signal);
  if (code !== 0) return problem('runtime', `it ends with ${code}: ${stderr.trim()}`, install);
  const installed = stdout.trim().replace(/^baton /, '');
  if (installed === version) return ok('runtime', `${layout.library}, baton ${installed}`);
  return warning('runtime', `baton ${installed} is installed, and this is baton ${version}`, install);
}

function checkUnit({ units }: NodeLayout): CheckFinding[] {
  const path = join(units, 'mariadb.service.d/50-baton.conf');
  if (!existsSync('/run/systemd/system') || existsSync(path)) return [];
  const text = `${path} is not there, so nothing is mended before the server starts`;
  return [warning('unit', text, install)];
}
