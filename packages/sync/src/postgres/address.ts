import { BatonError } from '@batondb/core/errors';
import { nearestName } from '@batondb/core/text/suggest';

// Where a PostgreSQL is, as a URL of libpq ("34.1.1.2. Connection URIs" of its documentation):
// `postgres://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/DATABASE[?NAME=VALUE&…]`. Of its parameters those are known that make sense here.

export type PostgresHost = {
  /** A name, an address without brackets, or the directory of a socket. */
  readonly host: string;
  readonly port: number;
};

/** What libpq means by them: `require` looks at no certificate, unless one is given to compare with. */
export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export type TlsChoice = {
  readonly mode: TlsMode;
  /** Undefined: those that Node.js trusts. */
  readonly rootCertificatePath: string | undefined;
  readonly certificatePath: string | undefined;
  readonly keyPath: string | undefined;
};

export type PostgresAddress = {
  /** In the order in which they are tried. */
  readonly hosts: readonly PostgresHost[];
  readonly user: string;
  readonly database: string;
  /** Only when the URL has it. */
  readonly password: string | undefined;
  /** A file of passwords in the form of `.pgpass`. */
  readonly passfilePath: string | undefined;
  readonly tls: TlsChoice;
  readonly applicationName: string;
  readonly connectMs: number;
};

/** The variables that matter; the command line passes those of its process. */
export type PostgresEnvironment = Readonly<
  Partial<Record<'PGPASSWORD' | 'PGPASSFILE' | 'PGUSER' | 'PGSSLMODE' | 'PGSSLROOTCERT' | 'USER' | 'HOME', string>>
>;

const form = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/s;
const hostForm = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]]*))(?::([0-9]{1,5}))?$/;
const hint = 'it looks like postgres://user@host:5432,host2:5432/database?sslmode=verify-full';
const defaultPort = 5432;
const tlsModes: readonly string[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];
const primaryAttributes: readonly string[] = ['any', 'read-write', 'primary'];
const parameterNames: readonly string[] = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'passfile',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'target_session_attrs',
  'application_name',
  'connect_timeout',
];

/** Reads an address. Throws USAGE; no error has the password in it. */
export function parsePostgresAddress(url: string, environment: PostgresEnvironment): PostgresAddress {
  const [, login = '', hostList = '', path = '', query = ''] =
    form.exec(url) ?? refuse(url, 'is not the address of a PostgreSQL');
  const parameters = parseParameters(query);
  const colon = login.indexOf(':');
  const user = decode(colon < 0 ? login : login.slice(0, colon));
  const password = colon < 0 ? parameters.get('password') : decode(login.slice(colon + 1));
  const chosenUser = parameters.get('user') ?? (user || environment.PGUSER || environment.USER);
  if (chosenUser === undefined) refuse(url, 'names no user');
  const database = parameters.get('dbname') ?? (decode(path) || chosenUser);
  checkAttributes(parameters.get('target_session_attrs'));
  return {
    hosts: parseHosts(hostList, parameters),
    user: chosenUser,
    database,
    password,
    passfilePath: parameters.get('passfile') ?? environment.PGPASSFILE,
    tls: parseTls(parameters, environment),
    applicationName: parameters.get('application_name') ?? 'baton sync',
    connectMs: parseSeconds(parameters.get('connect_timeout')) * 1000,
  };
}

/** The address as a person may see it: without the password. */
export function formatPostgresAddress({ hosts, user, database }: PostgresAddress): string {
  const names = hosts.map((host) => formatHost(host)).join(',');
  return `postgres://${encodeURIComponent(user)}@${names}/${encodeURIComponent(database)}`;
}

export function formatHost({ host, port }: PostgresHost): string {
  if (host.startsWith('/')) return `${encodeURIComponent(host)}:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((text) => text !== '')) {
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    if (!parameterNames.includes(name)) {
      const nearest = nearestName(name, parameterNames);
      throw new BatonError('USAGE', `"${name}" is no parameter of a PostgreSQL address here`, {
        hint: nearest === undefined ? `known are ${parameterNames.join(', ')}` : `did you mean ${nearest}?`,
      });
    }
    parameters.set(name, equals < 0 ? '' : decode(part.slice(equals + 1)));
  }
  return parameters;
}

/** Parameters `host` and `port` come in the place of those before the path, as with libpq; one port may be that of all. */
function parseHosts(list: string, parameters: ReadonlyMap<string, string>): PostgresHost[] {
  const names = parameters.get('host')?.split(',');
  const hosts = (names?.map((name) => (name.includes(':') ? `[${name}]` : name)) ?? list.split(',')).map(parseHost);
  const ports = parameters.get('port')?.split(',').map(parsePort);
  if (ports !== undefined && ports.length !== 1 && ports.length !== hosts.length) {
    throw new BatonError('USAGE', `there are ${hosts.length} hosts and ${ports.length} ports`, { hint });
  }
  return hosts.map(({ host, port }, index) => ({ host, port: ports?.[index] ?? ports?.[0] ?? port }));
}

function parseHost(text: string): PostgresHost {
  const [, address, name, port] = hostForm.exec(text) ?? [];
  const host = address ?? decode(name ?? '');
  if (host === '') throw new BatonError('USAGE', `"${text.slice(0, 100)}" is not a host of a PostgreSQL`, { hint });
  return { host, port: port === undefined ? defaultPort : parsePort(port) };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port < 1 || port > 65_535)
    throw new BatonError('USAGE', `"${text.slice(0, 100)}" is no port`, { hint });
  return port;
}

function parseTls(parameters: ReadonlyMap<string, string>, environment: PostgresEnvironment): TlsChoice {
  const mode = parameters.get('sslmode') ?? environment.PGSSLMODE ?? 'prefer';
  if (!isTlsMode(mode)) {
    throw new BatonError('USAGE', `"${mode}" is no sslmode`, { hint: `known are ${tlsModes.join(', ')}` });
  }
  const root = parameters.get('sslrootcert') ?? environment.PGSSLROOTCERT;
  return {
    mode,
    rootCertificatePath: root === 'system' ? undefined : root,
    certificatePath: parameters.get('sslcert'),
    keyPath: parameters.get('sslkey'),
  };
}

function isTlsMode(text: string): text is TlsMode {
  return tlsModes.includes(text);
}

/** A logical slot is read from a primary: whoever asks for a standby means something else. */
function checkAttributes(attributes: string | undefined): void {
  if (attributes === undefined || primaryAttributes.includes(attributes)) return;
  throw new BatonError('USAGE', `target_session_attrs=${attributes.slice(0, 100)} asks for what is no primary`, {
    hint: 'leave it out: the primary is looked for among the hosts',
  });
}

function parseSeconds(text: string | undefined): number {
  const seconds = Number(text ?? 10);
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= 3600) return seconds;
  throw new BatonError('USAGE', `connect_timeout=${text} is no number of seconds from 1 to 3600`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // What is badly escaped may be a password.
    throw new BatonError('USAGE', 'the address of the PostgreSQL has a % that begins no escape', {
      hint: 'write a % itself as %25',
    });
  }
}

function refuse(url: string, why: string): never {
  const shown = url
    .replace(/\/\/.*@/s, '//…@')
    .replace(/password=[^&]*/g, 'password=…')
    .slice(0, 200);
  throw new BatonError('USAGE', `${shown} ${why}`, { hint });
}
