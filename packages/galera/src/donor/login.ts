import { BatonError } from '@batondb/core/errors';
import { Server } from '@batondb/mariadb';
import type { Call } from '../contract/call.ts';
import type { Credentials } from '../contract/credentials.ts';
import type { PrivateDirectory } from './private-directory.ts';

/** The user that the server's own processes log in as by its socket, where wsrep_sst_auth is not set. */
const socketUser = 'mysql';

/** Logs in at our server, by wsrep_sst_auth or by what the operating system says of us. The tools read the password from `directory`, too. Throws as Server.connect does. */
export async function logIn(
  { socket }: Pick<Call, 'socket'>,
  credentials: Credentials | undefined,
  directory: PrivateDirectory,
  signal: AbortSignal,
): Promise<Server> {
  if (socket === undefined) throw new BatonError('USAGE', 'the server has not said --socket, by which it is backed up');
  const defaultsFile = await directory.writeCredentials(credentials);
  const who = defaultsFile === undefined ? { user: socketUser } : { defaultsFile };
  return await Server.connect({ socketPath: socket, ...who }, signal);
}
