import type { Command } from 'commander';
import { usage } from '../option-values.ts';
import type { Accept } from '../service/subcommands.ts';
import { installExamples, uninstallExamples } from './help.ts';

// The grammar of what is put on a node and taken away again.

export type InstallFlags = { readonly root?: string; readonly dryRun?: true; readonly json?: true };

export type UninstallFlags = { readonly root?: string; readonly withKey?: true; readonly json?: true };

export function addInstallCommand(program: Command, accept: Accept): void {
  program
    .command('install')
    .description('puts on this machine all that a server needs to use the method baton')
    .option('--root <directory>', 'below this directory instead, without a key and untried as user mysql', absolute)
    .option('--dry-run', 'print every file, and do nothing')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${installExamples}`)
    .action((flags: InstallFlags) =>
      accept(async (context) => {
        const { runInstall } = await import('./install.ts');
        return await runInstall(flags, context);
      }),
    );
}

export function addUninstallCommand(program: Command, accept: Accept): void {
  program
    .command('uninstall')
    .description('takes away what install has put on this machine')
    .option('--root <directory>', 'below this directory instead', absolute)
    .option('--with-key', 'the key, too')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${uninstallExamples}`)
    .action((flags: UninstallFlags) =>
      accept(async (context) => {
        const { runUninstall } = await import('./install.ts');
        return await runUninstall(flags, context);
      }),
    );
}

/** What install runs before a runtime is used: whether it has all of its modules. */
export function addSelfTestCommand(program: Command, accept: Accept): void {
  program
    .command('self-test', { hidden: true })
    .description('loads what a transfer needs, and says so')
    .action(() =>
      accept(async ({ stdout }) => {
        const { selfTest } = await import('@batondb/galera/node/self-test');
        await stdout.writeLines([await selfTest()]);
        return 0;
      }),
    );
}

/** A directory without a slash at its end. */
function absolute(text: string): string {
  const path = text.replace(/(?<=.)\/+$/, '');
  if (path.startsWith('/') && path !== '/') return path;
  throw usage(`--root ${text} is not the absolute path of a directory`, 'leave it out to install on this machine');
}
