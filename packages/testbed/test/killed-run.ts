import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { killProcess, listProcesses } from '../src/process-table.ts';
import { sweep } from '../src/removal.ts';

/**
 * Runs a test that starts a server in a sandbox, kills it with -9, and asserts that a sweep takes all that it left. `start` is a call
 * of what `module` of the testbed exports, with a `sandbox` at hand.
 */
export async function assertSweptAfterKill(module: string, start: string): Promise<void> {
  const path = (name: string): string => JSON.stringify(new URL(`../src/${name}.ts`, import.meta.url).pathname);
  const script = `
    import * as testbed from ${path(module)};
    import { makeSandbox } from ${path('sandbox')};
    const sandbox = makeSandbox();
    const server = await testbed.${start};
    console.log(sandbox.path);
  `;
  const argv = ['--conditions=batondb-source', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const sandboxPath = said.toString().trim();
  await killProcess(child.pid ?? 0);
  const left = (): number => listProcesses().filter((info) => info.workingDirectory.startsWith(sandboxPath)).length;
  assert.ok(left() > 0);
  await sweep();
  assert.equal(left(), 0);
  assert.equal(existsSync(sandboxPath), false);
}
