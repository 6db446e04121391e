import { BatonError } from '@batondb/core/errors';
import { type Call, parseCall } from '../contract/call.ts';
import { parseOptionWords } from '../contract/option-words.ts';
import { type Options, readOptionGroups } from '../settings/option-files.ts';

/** How a node is named by a person: as its server is, by options of the server; none of them is the machine's own server. */
export type NodeWords = readonly string[];

/** What is known of a node from its option files, whether its server runs or not. */
export type NodeOptions = {
  /** What the server would say when it calls us, as a joiner; by it settings are read as in a transfer. */
  readonly call: Call;
  /** Options of the server's own groups, and then of the words. */
  readonly server: Options;
  readonly dataDirectory: string;
  readonly socketPath: string;
  /** The words that have to come first for each of the server's programs. */
  readonly fileWords: readonly string[];
};

const defaults = { dataDirectory: '/var/lib/mysql', socketPath: '/run/mysqld/mysqld.sock' } as const;
const fileOptions = ['defaults-file', 'defaults-extra-file', 'defaults-group-suffix'] as const;

/** Reads the options of a node's server. Throws USAGE for words that are none, and what readOptionGroups() throws. */
export async function readNodeOptions(words: NodeWords, signal: AbortSignal): Promise<NodeOptions> {
  const strange = words.find((word) => !/^--[A-Za-z]/.test(word));
  if (strange !== undefined) {
    throw new BatonError('USAGE', `'${strange}' is not an option of a server`, {
      hint: 'write --datadir=DIR or --defaults-file=FILE, each in one word',
    });
  }
  const said = parseOptionWords(words);
  const fileWords = fileOptions.flatMap((name) => (said.has(name) ? [`--${name}`, said.get(name) ?? ''] : []));
  const callFor = (dataDirectory: string, auth: string | undefined): Call =>
    parseCall(['--role', 'joiner', '--address', '127.0.0.1', '--datadir', dataDirectory, ...fileWords], {
      ...(auth === undefined ? {} : { WSREP_SST_OPT_AUTH: auth }),
    });
  const { server: ofFiles } = await readOptionGroups(
    callFor(said.get('datadir') || defaults.dataDirectory, undefined),
    signal,
  );
  const server = new Map([...ofFiles, ...said]);
  const dataDirectory = server.get('datadir') || defaults.dataDirectory;
  const call = callFor(dataDirectory, server.get('wsrep-sst-auth'));
  return {
    call,
    server,
    dataDirectory: call.dataDirectory,
    socketPath: socketOf(server, call.dataDirectory),
    fileWords: fileOptions.flatMap((name) => (said.has(name) ? [`--${name}=${said.get(name)}`] : [])),
  };
}

/** A socket that is named without a path lies in the data directory. */
function socketOf(server: Options, dataDirectory: string): string {
  const socket = server.get('socket') || defaults.socketPath;
  return socket.startsWith('/') ? socket : `${dataDirectory}/${socket}`;
}
