import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { type Address, formatAddress } from './address.ts';

/** Lets only the user of this process connect to a socket that is made meanwhile. */
const ownOnly = 0o177;

/** Listens, and returns the address with the port that was chosen. Throws PORT_TAKEN, or what the system says. */
export async function listen(server: Server, address: Address): Promise<Address> {
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  const listening = once(server, 'listening');
  if (address.kind === 'tcp') server.listen({ host: address.host, port: address.port });
  else listenAtPath(server, address.path);
  try {
    await listening;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new BatonError('PORT_TAKEN', `another program listens at ${formatAddress(address)}`, { cause: error });
    throw toBatonError(error, { path: formatAddress(address) });
  }
  const bound = server.address();
  return address.kind === 'unix' || bound === null || typeof bound === 'string'
    ? address
    : { ...address, port: bound.port };
}

/** The socket is bound within the call, so that it never is there with another mode. */
function listenAtPath(server: Server, path: string): void {
  const before = process.umask(ownOnly);
  try {
    server.listen({ path });
  } finally {
    process.umask(before);
  }
}

/** A server that was killed leaves its socket. One that answers belongs to somebody, and stays. */
async function removeStaleSocket(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const connection = createConnection({ path });
  try {
    await once(connection, 'connect');
    throw new BatonError('PORT_TAKEN', `another program listens at unix:${path}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
    rmSync(path, { force: true });
  } finally {
    connection.destroy();
  }
}
