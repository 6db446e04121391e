import { formatBytes } from '@batondb/core/text/format';
import type { ServerAccess } from '@batondb/service/client';
import { createDatabase, dropDatabase, listDatabases } from '@batondb/sqlite/client/files';
import { formatLocation, type Location, parseLocation, withDatabase } from '@batondb/sqlite/client/location';
import { checkName } from '@batondb/sqlite/node/names';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { pad, printableText, widthOf } from '../render/style.ts';
import { readAccess } from '../service/access.ts';
import { confirm } from '../service/confirm.ts';
import type { Run } from '../service/subcommands.ts';
import type { DatabaseFlags } from './database-command.ts';
import { defaultServer } from './places.ts';

// `create`, `drop` and `list`.

/** A database by its address, or by its name alone: then it is at the server of this machine. */
export function locate(text: string): Location {
  const isName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text);
  return isName ? withDatabase(parseLocation(defaultServer), text) : parseLocation(text);
}

/** Whether a server has a database. */
export async function hasDatabase(location: Location, access: ServerAccess, signal: AbortSignal): Promise<boolean> {
  return (await listDatabases(location, access, signal)).some(({ name }) => name === location.database);
}

export function runCreate(url: string, flags: DatabaseFlags): Run {
  return async ({ stdout, environment, watchInterruption }) => {
    const location = locate(url);
    checkName(location.database);
    const isNew = await createDatabase(location, readAccess(flags, environment), watchInterruption().signal);
    await stdout.writeLines([`${isNew ? 'created' : 'was there already:'} ${formatLocation(location)}`]);
    return exitCodes.ok;
  };
}

export function runDrop(url: string, flags: DatabaseFlags): Run {
  return async (context) => {
    const { stdout, stderr, environment, watchInterruption } = context;
    const location = locate(url);
    const where = formatLocation(location);
    if (flags.dryRun) {
      await stdout.writeLines([`dry run: would drop ${where}`]);
      return exitCodes.ok;
    }
    const what = `the database ${location.database} of ${where} is dropped; its file is kept on the server`;
    if (!(await confirm(what, flags.yes ?? false, context))) {
      await stderr.writeLines(['nothing was changed']);
      return exitCodes.interrupted;
    }
    const position = await dropDatabase(location, readAccess(flags, environment), watchInterruption().signal);
    await stdout.writeLines([`dropped ${where} at position ${position}`]);
    return exitCodes.ok;
  };
}

export function runList(url: string, flags: DatabaseFlags): Run {
  return async ({ stdout, environment, watchInterruption }) => {
    const access = readAccess(flags, environment);
    const databases = await listDatabases(parseLocation(url), access, watchInterruption().signal);
    const nameWidth = Math.max(0, ...databases.map(({ name }) => widthOf(name)));
    const lines = databases.map(({ name, bytes }) =>
      flags.json
        ? jsonLine({ type: 'database', name, bytes }, Date.now())
        : `${pad(printableText(name), nameWidth)}  ${formatBytes(bytes)}`,
    );
    await stdout.writeLines(lines);
    return exitCodes.ok;
  };
}
