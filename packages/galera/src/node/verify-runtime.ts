import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { version } from '@batondb/core/version';
import { type Ran, runProgram } from './run-program.ts';
import { runInSandbox, type SandboxKind } from './service-sandbox.ts';

/** What a runtime says that has found its modules, also the native ones, and can start a thread. */
export const selfTestLine: string = `baton ${version}: galera ok`;

/** The errno that a call without arguments ends with: EINVAL, whose strerror is true of it. */
const einval = 22;

/** Runs a runtime where it lies, before anything refers to it. Throws UNSUPPORTED with its own words. */
export async function verifyRuntime(
  directory: string,
  sandbox: SandboxKind | undefined,
  signal: AbortSignal,
): Promise<void> {
  const argv = [join(directory, 'bin/baton'), 'galera', 'self-test'];
  const ran = await (sandbox === undefined ? runProgram(argv, signal) : runInSandbox(sandbox, argv, signal));
  if (ran.code === 0 && ran.stdout === `${selfTestLine}\n`) return;
  throw unusable(argv, sandbox, ran);
}

/**
 * Calls the script as a server does, by its name, but without a role: it has to get as far as saying so, and to leave standard output alone (G4).
 * Throws UNSUPPORTED.
 */
export async function verifyScript(sandbox: SandboxKind, signal: AbortSignal): Promise<void> {
  const argv = ['sh', '-c', 'wsrep_sst_baton'];
  const ran = await runInSandbox(sandbox, argv, signal);
  if (ran.code === einval && ran.stdout === '' && ran.stderr.includes('--role')) return;
  throw unusable(argv, sandbox, ran);
}

function unusable(argv: readonly string[], sandbox: SandboxKind | undefined, ran: Ran): BatonError {
  const where = sandbox === undefined ? '' : ' as user mysql, where its service may look';
  const said = [ran.stdout, ran.stderr].map((text) => text.trim()).filter((text) => text !== '');
  const message = `${argv.join(' ')}${where} ended with ${ran.code}, saying: ${said.join('; ') || 'nothing'}`;
  return new BatonError('UNSUPPORTED', message, {
    hint:
      sandbox === 'systemd'
        ? 'systemctl cat mariadb.service shows what it forbids'
        : 'the message says what is missing',
  });
}
