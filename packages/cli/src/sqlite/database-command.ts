import type { Command } from 'commander';
import { type AccessFlags, addAccessOptions } from '../service/access.ts';
import type { Accept } from '../service/subcommands.ts';
import { restoreExamples } from './help.ts';
import { defaultServer } from './places.ts';

// The grammar of what is done to whole databases.

export type DatabaseFlags = AccessFlags & {
  readonly yes?: true;
  readonly dryRun?: true;
  readonly json?: true;
};

export function addDatabaseCommands(program: Command, accept: Accept): void {
  const named = 'ws://HOST:PORT/db/NAME, unix:PATH/db/NAME, or a NAME at the server of this machine';
  addAccessOptions(program.command('create'))
    .description('makes a database')
    .argument('<url>', named)
    .action((url: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runCreate } = await import('./database.ts');
        return await runCreate(url, flags)(context);
      }),
    );
  addAccessOptions(addAsking(program.command('drop')))
    .description('drops a database; the server keeps its file below dropped/')
    .argument('<url>', named)
    .action((url: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runDrop } = await import('./database.ts');
        return await runDrop(url, flags)(context);
      }),
    );
  addAccessOptions(program.command('list'))
    .description('lists the databases of a server')
    .argument('[url]', 'of the server', defaultServer)
    .option('--json', 'one JSON object a database')
    .action((url: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runList } = await import('./database.ts');
        return await runList(url, flags)(context);
      }),
    );
  addAccessOptions(program.command('backup'))
    .description('fetches a database as an ordinary SQLite file, while it is in use')
    .argument('<url>', named)
    .argument('<file>', 'to be written; it must not exist')
    .option('--json', 'progress and result as JSON objects')
    .action((url: string, file: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runBackup } = await import('./files.ts');
        return await runBackup(url, file, flags)(context);
      }),
    );
  addAccessOptions(addAsking(program.command('restore')))
    .description('puts a backup back: a file into a database, or a whole backup into the directory of a stopped server')
    .usage('[options] FILE URL | BACKUP DIR')
    .argument('<source>', 'a SQLite file, or a directory that --backup-to has made')
    .argument('<target>', `${named}; or a directory`)
    .option('--json', 'progress and result as JSON objects')
    .addHelpText('after', `\n${restoreExamples}`)
    .action((source: string, target: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runRestore } = await import('./files.ts');
        return await runRestore(source, target, flags)(context);
      }),
    );
  addAccessOptions(addAsking(program.command('load')))
    .description('makes a database of a SQLite file, or of a text of SQL as .dump writes it')
    .argument('<file>', 'all of it, or nothing')
    .argument('<url>', named)
    .option('--json', 'progress and result as JSON objects')
    .action((file: string, url: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runLoad } = await import('./files.ts');
        return await runLoad(file, url, flags)(context);
      }),
    );
  addAsking(program.command('discard-old'))
    .description('removes what restores have put aside in the directory of a stopped server')
    .argument('<directory>', 'of the stopped server')
    .action((directory: string, flags: DatabaseFlags) =>
      accept(async (context) => {
        const { runDiscardOld } = await import('./files.ts');
        return await runDiscardOld(directory, flags)(context);
      }),
    );
}

/** What destroys asks, or is told. */
function addAsking(command: Command): Command {
  return command
    .option('--yes', 'do it without being asked')
    .option('--dry-run', 'say what would be done, and do nothing');
}
