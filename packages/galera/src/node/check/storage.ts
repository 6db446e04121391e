import { once } from 'node:events';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { freeSpace } from '@batondb/core/files/space';
import { textToBytes } from '@batondb/core/text/bytes';
import { formatBytes } from '@batondb/core/text/format';
import { dataFileBytes } from '@batondb/mariadb/data-bytes';
import { parseAddress, portOf } from '../../contract/address.ts';
import { neededRoom } from '../../joiner/room.ts';
import { checkSharedMethod, checkSharing } from '../../joiner/sharing.ts';
import { checkLayout } from '../../state/check-layout.ts';
import { openStaging, stagingName } from '../../state/staging.ts';
import { asOwner } from '../owner.ts';
import { userIdOf } from '../users.ts';
import { type CheckFinding, findingOf, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

/** Where new data has to have room beside the old, and be exchanged for it. */
export async function checkStorage(node: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  const { dataDirectory } = node.options;
  const found = statSync(dataDirectory, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) {
    const next = `install -d -o mysql -g mysql ${dataDirectory}, or name another one with --datadir`;
    return [problem('data directory', `${dataDirectory} is not there`, next)];
  }
  const user = userIdOf('mysql');
  if (user !== undefined && found.uid !== user) {
    const next = `chown mysql:mysql ${dataDirectory}, if the server runs as mysql`;
    return [warning('data directory', `${dataDirectory} belongs to uid ${found.uid}, and not to mysql`, next)];
  }
  return [...(await checkSpace(node, signal)), tryLayout(node)];
}

/** The donor's data is taken to be as large as ours; an empty node can only be told what it has. */
async function checkSpace({ options, read }: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  if (read === undefined) return [];
  const { dataDirectory } = options;
  const { settings, server } = read;
  const moreDirectories = [server.innodbDataHome, server.innodbUndo].filter((path) => existsSync(path));
  const logBasenames = [server.binlog ?? ''];
  const dataBytes = await dataFileBytes({ dataDirectory, moreDirectories, logBasenames }, signal);
  const { freeBytes, fileSystemType } = freeSpace(textToBytes(dataDirectory));
  const numbers = `${formatBytes(dataBytes)} of data, ${formatBytes(freeBytes)} free in ${dataDirectory} (${fileSystemType})`;
  if (settings.space === 'in-place') return [ok('space', `${numbers}, space=in-place`)];
  if (settings.space === 'reflink' && freeBytes < neededRoom('reflink', dataBytes)) {
    const needed = formatBytes(neededRoom('reflink', dataBytes));
    return [problem('space', `${numbers}: space=reflink takes ${needed} at least`, 'make room')];
  }
  if (settings.space === 'reflink' || freeBytes > dataBytes)
    return [ok('space', `${numbers}, space=${settings.space}`)];
  return [
    problem(
      'space',
      `${numbers}: old and new data do not fit side by side`,
      `free ${formatBytes(dataBytes - freeBytes)}, or look at space= in docs/galera-settings.md`,
    ),
  ];
}

/** What a joiner looks at first. Where a transfer has left something, or is at work, that is looked at instead. */
function tryLayout({ options, read }: Node): CheckFinding {
  const { dataDirectory } = options;
  if (lstatSync(`${dataDirectory}/${stagingName}`, { throwIfNoEntry: false }) !== undefined) {
    const text = `${dataDirectory}/${stagingName} is there: a transfer is at work, or was cut short`;
    return warning('layout', text, 'look at baton galera status; when no server runs: baton galera recover');
  }
  if (process.geteuid?.() !== 0 && process.geteuid?.() !== userIdOf('mysql'))
    return warning('layout', 'only root and mysql can look into the data directory', 'run the check with sudo');
  const layout = {
    ...options.call.paths,
    ...read?.server,
    innodbLogHome: read?.server.innodbLogGroupHome,
    dataDirectory,
  };
  try {
    if (read !== undefined) checkSharedMethod(read.settings.space, read.settings.method);
    asOwner(dataDirectory, () => {
      using staging = openStaging(dataDirectory, { make: true });
      try {
        checkLayout(staging, layout);
        if (read?.settings.space === 'reflink') checkSharing(staging);
      } finally {
        staging.remove();
      }
    });
    const shares = read?.settings.space === 'reflink' ? ', and share blocks with what was there' : '';
    return ok('layout', `the data can be exchanged as a whole${shares}`);
  } catch (error) {
    return findingOf('layout', error);
  }
}

/** The port that a donor calls. A node that takes no state now has to have it free. */
export async function checkPort({ options }: Node): Promise<CheckFinding[]> {
  const said = options.server.get('wsrep-sst-receive-address') ?? '';
  const address = said === '' || said.toUpperCase() === 'AUTO' ? undefined : parseAddress(said);
  const port = address === undefined ? portOf(options.call.address) : portOf(address);
  const next = `ss -ltnp 'sport = :${port}' tells whose it is; wsrep_sst_receive_address names another one`;
  const server = createServer();
  server.listen({ port, host: address?.host, exclusive: true });
  try {
    await once(server, 'listening');
    return [ok('port', `${port} is free; firewalls have to let donors in`)];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return [problem('port', `${port} is taken, and a transfer to this node needs it`, next)];
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      return [
        problem(
          'port',
          `wsrep_sst_receive_address is ${said}, which this machine does not have`,
          'name one that it has',
        ),
      ];
    throw error;
  } finally {
    server.close();
  }
}
