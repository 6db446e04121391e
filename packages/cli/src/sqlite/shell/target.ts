import type { ServerAccess } from '@batondb/service/client';
import { openNode } from '@batondb/sqlite';
import { connect, type RemoteDatabase } from '@batondb/sqlite/client/connect';
import { fetchStatus } from '@batondb/sqlite/client/http';
import { formatLocation, type Location } from '@batondb/sqlite/client/location';
import type { Session, SessionOptions } from '@batondb/sqlite/databases';

/** The database that a shell speaks to, wherever it is. */
export interface Target extends AsyncDisposable {
  /** Where it is, for people. */
  readonly title: string;
  /** What stands in the prompt. */
  readonly database: string;
  /** Opens a session, on a new connection if the last one broke. */
  open(signal: AbortSignal): Promise<Session>;
  /** Names of all databases beside it. */
  databases(signal: AbortSignal): Promise<readonly string[]>;
}

/** Rows of one answer are bounded by the cursor that the shell reads with. */
const resultBytesMax = 33_554_432;

/** A database on a server. The first session connects. */
export function serverTarget(location: Location, access: ServerAccess): Target {
  let remote: RemoteDatabase | undefined;
  return {
    title: formatLocation(location),
    database: location.database,
    open: async (signal) => {
      if (remote?.isOpen !== true) remote = await connect(location, access, signal);
      return await remote.session(signal);
    },
    databases: async (signal) => namesIn(await fetchStatus(location, access, signal)),
    [Symbol.asyncDispose]: async () => await remote?.close(),
  };
}

/** A database in a directory that no server has in use. Throws what `openNode` throws. */
export async function directoryTarget(directory: string, database: string): Promise<Target> {
  const node = await openNode({ directory });
  const databases = node.clients();
  const options: SessionOptions = { database, isReadOnly: false, resultBytesMax };
  return {
    title: directory,
    database,
    open: (signal) => databases.open(options, signal),
    databases: async (signal) => namesIn(await databases.status(signal)),
    [Symbol.asyncDispose]: () => node.close(),
  };
}

function namesIn(status: Readonly<Record<string, unknown>>): readonly string[] {
  const { databases } = status;
  if (!Array.isArray(databases)) return [];
  return databases.map((database: unknown) => String((database as { readonly name?: unknown }).name)).sort();
}
