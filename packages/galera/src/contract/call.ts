// What a server says when it starts us: arguments and environment in, one value out.
import { BatonError } from '@batondb/core/errors';
import { type Address, parseAddress } from './address.ts';
import { type Credentials, parseAuth, type Remote } from './credentials.ts';
import { type GaleraPosition, parsePosition } from './position.ts';

export type Role = 'donor' | 'joiner';

/** Whose server has started us. Only what is said to it and where its credentials are depends on this. */
export type Dialect = 'documented' | 'mariadb' | 'pxc';

/** Where the server has its options from, in the words of its programs. */
export type OptionFiles = {
  readonly defaultsFile: string | undefined;
  readonly defaultsExtraFile: string | undefined;
  readonly groupSuffix: string | undefined;
};

/** What of a server's own options its call tells us; what is undefined is in the option files, or the server's default. */
export type CallPaths = {
  /** Base name of the binary logs; defined exactly when the server writes them and says so. */
  readonly binlog: string | undefined;
  readonly binlogIndex: string | undefined;
  readonly logBasename: string | undefined;
  readonly innodbDataHome: string | undefined;
  readonly innodbLogGroupHome: string | undefined;
  readonly innodbUndo: string | undefined;
  readonly ariaLog: string | undefined;
};

/** A call of a server. */
export type Call = {
  readonly role: Role;
  readonly dialect: Dialect;
  /** The joiner's: where to listen. The donor's: what the joiner has said. */
  readonly address: Address;
  /** Without a slash at its end. */
  readonly dataDirectory: string;
  readonly optionFiles: OptionFiles;
  readonly paths: CallPaths;
  /** Of the server. MariaDB and PXC tell it to joiners only. */
  readonly parentPid: number | undefined;
  /** The donor's: the joiner takes an incremental transfer, and needs nothing from us but this position. */
  readonly isBypass: boolean;
  /** The donor's: the position that the transfer is for. */
  readonly position: GaleraPosition | undefined;
  readonly socket: string | undefined;
  /** The port of the server's clients. */
  readonly localPort: number | undefined;
  /** Whether the server wants to hear `total` and `complete`. */
  readonly progress: boolean;
  /** PXC's come on standard input instead: see parseStandardInput(). */
  readonly credentials: Credentials | undefined;
  readonly remote: Remote | undefined;
  /** What the server itself was started with. */
  readonly serverArguments: readonly string[];
  /** Words that we do not know. A newer server may say more than we know, so they are never an error. */
  readonly ignored: readonly string[];
};

/** Options with a value, in all dialects; what stands for the same thing has the same key. */
const valueOptions = {
  '--role': 'role',
  '--address': 'address',
  '--auth': 'auth',
  '--user': 'user',
  '--password': 'password',
  '--host': 'host',
  '--port': 'port',
  '--local-port': 'localPort',
  '--datadir': 'dataDirectory',
  '--defaults-file': 'defaultsFile',
  '--defaults-extra-file': 'defaultsExtraFile',
  '--defaults-group-suffix': 'groupSuffix',
  '--parent': 'parent',
  '--progress': 'progress',
  '--socket': 'socket',
  '--gtid': 'gtid',
  '--gtid-domain-id': 'gtidDomainId',
  '--binlog': 'binlog',
  '--log-bin': 'binlog',
  '--binlog-index': 'binlogIndex',
  '--log-bin-index': 'binlogIndex',
  '--log-basename': 'logBasename',
  '--aria-log-dir-path': 'ariaLog',
  '--innodb-data-home-dir': 'innodbDataHome',
  '--innodb-log-group-home-dir': 'innodbLogGroupHome',
  '--innodb-undo-directory': 'innodbUndo',
  '--basedir': 'baseDirectory',
  '--plugindir': 'pluginDirectory',
  '--mysqld-version': 'serverVersion',
} as const;

type Key = (typeof valueOptions)[keyof typeof valueOptions];
type Environment = Readonly<Record<string, string | undefined>>;
type Words = {
  readonly values: ReadonlyMap<Key, string>;
  readonly isBypass: boolean;
  readonly hasServerArguments: boolean;
  readonly serverArguments: readonly string[];
  readonly ignored: readonly string[];
};

/** Reads a call in any dialect. Throws USAGE when something is missing or makes no sense; never for a word that it does not know. */
export function parseCall(argv: readonly string[], environment: Environment): Call {
  const words = readWords(argv);
  const { values } = words;
  const role = values.get('role');
  if (role !== 'donor' && role !== 'joiner') {
    throw new BatonError('USAGE', `--role is '${role ?? ''}', and has to be 'donor' or 'joiner'`, {
      hint: 'this program is started by a Galera server: set wsrep_sst_method=baton',
    });
  }
  const remote = parseAuth(environment['WSREP_SST_OPT_REMOTE_AUTH']);
  return {
    role,
    dialect: dialectOf(words, environment),
    address: addressOf(values),
    dataDirectory: withoutSlash(required(values, 'dataDirectory', '--datadir')),
    optionFiles: {
      defaultsFile: text(values, 'defaultsFile'),
      defaultsExtraFile: text(values, 'defaultsExtraFile'),
      groupSuffix: text(values, 'groupSuffix'),
    },
    paths: pathsOf(values, environment),
    parentPid: integer(values, 'parent', '--parent'),
    isBypass: words.isBypass,
    position: positionOf(values),
    socket: text(values, 'socket'),
    localPort: integer(values, 'localPort', '--local-port'),
    progress: (integer(values, 'progress', '--progress') ?? 0) > 0,
    credentials: credentialsOf(values, environment),
    remote: remote === undefined ? undefined : { user: remote.user, secret: remote.password },
    serverArguments: words.serverArguments,
    ignored: words.ignored,
  };
}

/** `--mysqld-args` swallows all that follows. */
function readWords(argv: readonly string[]): Words {
  const end = argv.indexOf('--mysqld-args');
  const own = end < 0 ? argv : argv.slice(0, end);
  const values = new Map<Key, string>();
  const ignored: string[] = [];
  let isBypass = false;
  for (let index = 0; index < own.length; index++) {
    const word = own[index] ?? '';
    if (word === '--bypass') isBypass = true;
    else if (Object.hasOwn(valueOptions, word)) {
      const value = own[++index];
      if (value === undefined) throw new BatonError('USAGE', `${word} has no value`);
      values.set(valueOptions[word as keyof typeof valueOptions], value);
    } else if (word !== '') ignored.push(word);
  }
  const serverArguments = end < 0 ? [] : argv.slice(end + 1);
  return { values, isBypass, ignored, serverArguments, hasServerArguments: end >= 0 };
}

function dialectOf({ values, hasServerArguments }: Words, environment: Environment): Dialect {
  if (values.has('serverVersion') || values.has('pluginDirectory')) return 'pxc';
  const isMariadb = hasServerArguments || values.has('progress') || values.has('gtidDomainId');
  return isMariadb || environment['WSREP_SST_OPT_AUTH'] !== undefined ? 'mariadb' : 'documented';
}

/** The logical methods name host and port instead of an address. */
function addressOf(values: Words['values']): Address {
  const address = parseAddress(text(values, 'address') ?? required(values, 'host', '--address'));
  const port = integer(values, 'port', '--port');
  if (port !== undefined && address.port !== undefined && port !== address.port) {
    throw new BatonError('USAGE', `--port is ${port}, and --address has the port ${address.port}`);
  }
  return { ...address, port: address.port ?? port };
}

function positionOf(values: Words['values']): GaleraPosition | undefined {
  const gtid = text(values, 'gtid');
  if (gtid === undefined) return undefined;
  const position = parsePosition(gtid);
  return { ...position, domainId: integer(values, 'gtidDomainId', '--gtid-domain-id') ?? position.domainId };
}

function pathsOf(values: Words['values'], environment: Environment): CallPaths {
  const path = (key: Key, variable?: string): string | undefined => {
    const value = text(values, key) ?? (variable === undefined ? undefined : environment[variable]?.trim());
    return value === undefined || value === '' ? undefined : withoutSlash(value);
  };
  return {
    binlog: path('binlog'),
    binlogIndex: path('binlogIndex'),
    logBasename: path('logBasename'),
    innodbDataHome: path('innodbDataHome', 'INNODB_DATA_HOME_DIR'),
    innodbLogGroupHome: path('innodbLogGroupHome', 'INNODB_LOG_GROUP_HOME'),
    innodbUndo: path('innodbUndo', 'INNODB_UNDO_DIR'),
    ariaLog: path('ariaLog'),
  };
}

/** A user among the arguments goes before the environment's, whose password is only that user's. */
function credentialsOf(values: Words['values'], environment: Environment): Credentials | undefined {
  const auth = parseAuth(values.get('auth')) ?? parseAuth(environment['WSREP_SST_OPT_AUTH']);
  const user = text(values, 'user');
  if (user === undefined || user === '(null)') return auth;
  return { user, password: values.get('password') ?? (auth?.user === user ? auth.password : '') };
}

function text(values: Words['values'], key: Key): string | undefined {
  const value = values.get(key)?.trim();
  return value === '' ? undefined : value;
}

function required(values: Words['values'], key: Key, option: string): string {
  const value = text(values, key);
  if (value === undefined) throw new BatonError('USAGE', `the server has not said ${option}`);
  return value;
}

function integer(values: Words['values'], key: Key, option: string): number | undefined {
  const value = text(values, key);
  if (value === undefined) return undefined;
  if (!/^\d{1,10}$/.test(value)) throw new BatonError('USAGE', `${option} is '${value}', which is not a number`);
  return Number(value);
}

function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
}
