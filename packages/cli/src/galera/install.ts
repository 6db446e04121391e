import { toBatonError } from '@batondb/core/files/system-error';
import { moduleEnding } from '@batondb/core/program/pieces';
import { formatBytes } from '@batondb/core/text/format';
import { version } from '@batondb/core/version';
import { type InstallReport, install } from '@batondb/galera/node/install';
import { localLayout } from '@batondb/galera/node/layout';
import { planInstallation, planLines } from '@batondb/galera/node/plan';
import { findRuntime, type Runtime } from '@batondb/galera/node/runtime';
import { type UninstallReport, uninstall } from '@batondb/galera/node/uninstall';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import type { InstallFlags, UninstallFlags } from './install-command.ts';

const ending = moduleEnding;
/** What becomes the command of the runtime. */
const entry = new URL(`./main.${ending}`, import.meta.url);

export async function runInstall(flags: InstallFlags, context: CommandContext): Promise<number> {
  const { stdout } = context;
  const { signal } = context.watchInterruption();
  const runtime = findRuntime(entry, localLayout.library);
  const plan = planInstallation(localLayout, runtime);
  if (flags.dryRun) {
    const { runtime: _, ...told } = plan;
    const lines = flags.json ? [jsonLine({ type: 'plan', ...told }, Date.now())] : planLines(plan);
    await stdout.writeLines(lines);
    return exitCodes.ok;
  }
  const report = await install({ plan, root: flags.root ?? '' }, signal).catch((error: unknown) => {
    throw named(error);
  });
  await stdout.writeLines(
    flags.json
      ? [jsonLine({ type: 'installed', version, ...report }, Date.now())]
      : installedLines(report, runtime, flags.root),
  );
  return exitCodes.ok;
}

export async function runUninstall(flags: UninstallFlags, { stdout }: CommandContext): Promise<number> {
  const options = { layout: localLayout, root: flags.root ?? '', withKey: flags.withKey ?? false };
  const report = await uninstall(options).catch((error: unknown) => {
    throw named(error);
  });
  await stdout.writeLines(
    flags.json ? [jsonLine({ type: 'uninstalled', ...report }, Date.now())] : uninstalledLines(report),
  );
  return exitCodes.ok;
}

/** What the operating system refuses has a path of its own. */
function named(error: unknown): unknown {
  const { path } = error as NodeJS.ErrnoException;
  return path === undefined ? error : toBatonError(error, { path });
}

/** Pure. */
export function installedLines(report: InstallReport, runtime: Runtime, root: string | undefined): string[] {
  const { runtimePath, written, unchanged, keptRuntimes, key, triedIn } = report;
  const below = root === undefined ? '' : ` below ${root}`;
  const tried = triedIn === 'systemd' ? 'with the properties of its service' : 'with ProtectHome and the like';
  return [
    `installed baton ${version} in ${runtimePath} (${formatBytes(runtime.contentBytes)})${below}`,
    ...written.map((path) => `  ${path}`),
    ...unchanged.map((path) => `  ${path} (as it was)`),
    ...keptRuntimes.map((name) => `  ${name} is in use, and goes with the next installation`),
    ...(triedIn === undefined ? [] : [`wsrep_sst_baton runs as user mysql, ${tried}`]),
    ...(key === undefined ? [] : keyLines(key)),
    'next: wsrep_sst_method=baton below [mysqld] on every node, then: baton galera check',
  ];
}

function keyLines({ path, fingerprint, isNew }: NonNullable<InstallReport['key']>): string[] {
  const line = `key ${path}, fingerprint ${fingerprint}, ${isNew ? 'made now' : 'as it was'}`;
  if (!isNew) return [line];
  return [
    line,
    '  every node needs the same one; from the first node to another one:',
    `    cat ${path} | ssh root@NODE 'install -m 640 -o root -g mysql /dev/stdin ${path}'`,
  ];
}

/** Pure. */
export function uninstalledLines({ removed, left, key }: UninstallReport): string[] {
  return [
    ...removed.map((path) => `removed ${path}`),
    ...left.map((path) => `left ${path}: it was changed since it was installed`),
    ...(key === undefined ? [] : [`left ${key}: --with-key removes it`]),
  ];
}
