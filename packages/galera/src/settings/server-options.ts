import { isAbsolute, join } from 'node:path';
import type { Call } from '../contract/call.ts';
import { parseOptionWords } from '../contract/option-words.ts';
import type { Options } from './option-files.ts';
import { parseBytes } from './values.ts';

/** What of a server's own options matters to a transfer. Directories are absolute. */
export type ServerOptions = {
  readonly dataDirectory: string;
  /** Where `ibdata1` is. */
  readonly innodbDataHome: string;
  /** Where `ib_logfile0` is. */
  readonly innodbLogGroupHome: string;
  readonly innodbUndo: string;
  /** Where `aria_log_control` is. */
  readonly ariaLog: string;
  /** Base name of the binary logs with its directory; undefined when the server writes none. */
  readonly binlog: string | undefined;
  readonly binlogIndex: string | undefined;
  /** `innodb_data_file_path`; undefined is the default, one file `ibdata1`. */
  readonly innodbDataFilePath: string | undefined;
  /** `lower_case_table_names`: names of another case are other tables, so both nodes need the same. */
  readonly lowerCaseTableNames: number;
  readonly innodbPageSizeBytes: number;
  readonly bufferPoolBytes: number;
  /** Whether the group channel is encrypted, and with it the `ready` line. */
  readonly isGroupEncrypted: boolean;
  /** Names of loaded plugins and options that encrypt tables; empty when nothing does. */
  readonly encryption: readonly string[];
};

const defaults = { innodbPageSizeBytes: 16_384, bufferPoolBytes: 134_217_728 } as const;

/** The server's options: of its files, then of its arguments, then what it has said in the call, each before the one before it. */
export function readServerOptions(call: Call, files: Options): ServerOptions {
  const { dataDirectory, paths } = call;
  const options = new Map([...files, ...parseOptionWords(call.serverArguments)]);
  const at = (said: string | undefined, name: string): string => absolute(dataDirectory, said ?? options.get(name));
  const binlog = binlogName(call, options);
  const innodbDataHome = at(paths.innodbDataHome, 'innodb-data-home-dir');
  const bytes = (name: string, fallback: number): number => {
    const value = options.get(name);
    return value === undefined || value === '' ? fallback : parseBytes(name, value);
  };
  return {
    dataDirectory,
    innodbDataHome,
    innodbLogGroupHome: at(paths.innodbLogGroupHome, 'innodb-log-group-home-dir'),
    innodbUndo: at(paths.innodbUndo, 'innodb-undo-directory'),
    ariaLog: at(paths.ariaLog, 'aria-log-dir-path'),
    binlog: binlog === undefined ? undefined : absolute(dataDirectory, binlog),
    binlogIndex: binlog === undefined ? undefined : absolute(dataDirectory, binlogIndexName(call, options, binlog)),
    innodbDataFilePath: options.get('innodb-data-file-path') || undefined,
    lowerCaseTableNames: Number(options.get('lower-case-table-names') ?? '0'),
    innodbPageSizeBytes: bytes('innodb-page-size', defaults.innodbPageSizeBytes),
    bufferPoolBytes: bytes('innodb-buffer-pool-size', defaults.bufferPoolBytes),
    isGroupEncrypted: isGroupEncrypted(options.get('wsrep-provider-options') ?? ''),
    encryption: encryptionOf(options),
  };
}

function absolute(dataDirectory: string, path: string | undefined): string {
  if (path === undefined || path === '') return dataDirectory;
  const joined = isAbsolute(path) ? path : join(dataDirectory, path);
  return joined.length > 1 ? joined.replace(/\/+$/, '') : joined;
}

/** `log-bin` without a value is named after `log-basename`, and after the server's default without that. */
function binlogName({ paths }: Call, options: Options): string | undefined {
  if (paths.binlog !== undefined) return paths.binlog;
  const said = options.get('log-bin');
  if (said === undefined || options.has('skip-log-bin')) return undefined;
  const basename = paths.logBasename ?? options.get('log-basename');
  return said || (basename ? `${basename}-bin` : 'mysql-bin');
}

function binlogIndexName({ paths }: Call, options: Options, binlog: string): string {
  const said = paths.binlogIndex ?? options.get('log-bin-index');
  if (!said) return `${binlog}.index`;
  return /\.[^/]*$/.test(said) ? said : `${said}.index`;
}

/**
 * Whether Galera encrypts what nodes say to each other: `socket.ssl`, or a key and a certificate without `socket.ssl=no`. With
 * `socket.dynamic` it also speaks with nodes that do not encrypt, so nothing is sure.
 */
export function isGroupEncrypted(providerOptions: string): boolean {
  const options = new Map(
    providerOptions.split(';').map((part) => {
      const [key = '', ...value] = part.split('=');
      return [key.trim(), value.join('=').trim()];
    }),
  );
  const isYes = (text: string | undefined): boolean => /^(1|yes|on|true)$/i.test(text ?? '');
  if (isYes(options.get('socket.dynamic'))) return false;
  const explicit = options.get('socket.ssl');
  return explicit === undefined ? options.has('socket.ssl_key') && options.has('socket.ssl_cert') : isYes(explicit);
}

const encryptionOptions = [
  'innodb-encrypt-tables',
  'innodb-encrypt-log',
  'innodb-encrypt-temporary-tables',
  'aria-encrypt-tables',
  'encrypt-binlog',
  'encrypt-tmp-files',
];
/** Plugins that hold keys, by their libraries and by their options: of several `plugin-load-add` only the last is seen here. */
const keyPlugins = /^(file|aws|hashicorp)[-_]key[-_]management|^keyring[-_]\w+/;

function encryptionOf(options: Options): string[] {
  const isOn = (name: string): boolean => options.has(name) && !/^(0|off|no|false)$/i.test(options.get(name) ?? '');
  const loaded = ['plugin-load', 'plugin-load-add', 'early-plugin-load'].flatMap((name) =>
    (options.get(name) ?? '').split(/[;:=]/),
  );
  const plugins = [...loaded, ...options.keys()].map((name) => keyPlugins.exec(name.replaceAll('-', '_'))?.[0]);
  return [...encryptionOptions.filter(isOn), ...new Set(plugins.filter((name) => name !== undefined))];
}
