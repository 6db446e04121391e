import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import pg from 'pg';
import { formatHost, type PostgresAddress, type PostgresHost, type TlsChoice } from './address.ts';
import { toSourceError } from './failures.ts';
import type { PasswordFor } from './passwords.ts';
import { sessionSettings } from './session-settings.ts';
import { streamLimits } from './stream-limits.ts';

// Connections to the primary among the hosts of an address. One address may lead elsewhere tomorrow (haproxy, a moved name), so every connection is asked what it found.

export type ConnectOptions = {
  /** Speaks the replication protocol, and simple queries. Default: false. */
  readonly replication?: boolean;
  /** Limit of each statement. 0: none. Default: `streamLimits.statementMs`. */
  readonly statementMs?: number;
};

type OpenOptions = ConnectOptions & { readonly signal?: AbortSignal };

/** A primary, as the first connection to it found it. */
export type PrimaryNode = {
  /** `host:port`, for people. */
  readonly name: string;
  readonly timeline: number;
  /** Such as 150018. */
  readonly serverVersion: number;
  /**
   * Another connection to the same primary, on the same timeline: else throws UNAVAILABLE (retryable), since what two servers say must not be mixed.
   * All values come as PostgreSQL's text.
   */
  connect(options?: ConnectOptions): Promise<pg.Client>;
};

/**
 * Asks all hosts at once. An old primary that has not noticed yet may say that it is one, too: the newest timeline wins, then the order of the address. Throws what the
 * hosts were not willing for; retryable when any of them may be a primary soon.
 */
export async function findPrimary(
  address: PostgresAddress,
  passwordFor: PasswordFor,
  signal: AbortSignal,
): Promise<PrimaryNode> {
  const { hosts } = address;
  const answers: (PrimaryNode | BatonError | undefined)[] = hosts.map(() => undefined);
  const { promise: enough, resolve: isEnough } = Promise.withResolvers<void>();
  const over = new AbortController();
  const ask = async (host: PostgresHost, place: number): Promise<void> => {
    while (!over.signal.aborted) {
      const asked = askHost(address, host, passwordFor, over.signal);
      const answer = await asked.catch((error: unknown) => toSourceError(error, formatHost(host)));
      answers[place] = answer;
      if (answers.every((each) => each !== undefined)) isEnough();
      // Another one hangs. It does not hold up a primary for long, and meanwhile a standby may become one.
      await delay(streamLimits.otherHostsMs, undefined, { ref: false });
      if (!(answer instanceof BatonError)) isEnough();
    }
  };
  signal.addEventListener('abort', () => isEnough(), { once: true, signal: over.signal });
  hosts.forEach((host, place) => void ask(host, place));
  await enough;
  over.abort();
  signal.throwIfAborted();
  const nodes = answers.flatMap((answer) => (answer === undefined || answer instanceof BatonError ? [] : [answer]));
  const [newest] = nodes.toSorted((one, other) => other.timeline - one.timeline);
  return newest ?? refuseAll(answers.filter((answer) => answer instanceof BatonError));
}

function refuseAll(failures: readonly BatonError[]): never {
  const [first] = failures;
  if (failures.length === 1) throw first!;
  // One that may be a primary soon counts for more than one that never will.
  const decisive = failures.findLast(({ retryable }) => retryable) ?? first!;
  throw new BatonError(
    decisive.code,
    `none of the hosts is a primary: ${failures.map(({ message }) => message).join('; ')}`,
    {
      retryable: decisive.retryable,
      cause: decisive,
      ...(decisive.hint === undefined ? {} : { hint: decisive.hint }),
    },
  );
}

/** Ends a connection, also one that is in the middle of something. Never throws. */
export async function endClient(client: pg.Client): Promise<void> {
  // A server that stands still would let an orderly end wait for ever.
  const socket = socketOf(client);
  const timer = setTimeout(() => socket.destroy(), 1000);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}

/** A connection for the time of one call. */
export async function useClient<T>(client: pg.Client, use: (client: pg.Client) => Promise<T>): Promise<T> {
  try {
    return await use(client);
  } finally {
    await endClient(client);
  }
}

/** The socket below a connection. */
export function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** The signal gives up a host that has not answered. */
async function askHost(
  address: PostgresAddress,
  host: PostgresHost,
  passwordFor: PasswordFor,
  signal: AbortSignal,
): Promise<PrimaryNode> {
  const name = formatHost(host);
  const first = await openClient(address, host, passwordFor, { signal });
  const found = await useClient(first, (client) => inspect(client, name));
  const connect = async (options: ConnectOptions = {}): Promise<pg.Client> => {
    const client = await openClient(address, host, passwordFor, options);
    try {
      await checkSame(client, name, found.timeline);
      return client;
    } catch (error) {
      await endClient(client);
      throw error;
    }
  };
  return { name, ...found, connect };
}

async function checkSame(client: pg.Client, name: string, timeline: number): Promise<void> {
  const now = await inspect(client, name);
  if (now.timeline === timeline) return;
  throw new BatonError('UNAVAILABLE', `${name} was on timeline ${timeline} and is on ${now.timeline} now`, {
    retryable: true,
  });
}

/** What kind of server answers. Throws UNAVAILABLE for a standby: it may be promoted, or the primary may be behind the same address soon. */
async function inspect(client: pg.Client, name: string): Promise<{ timeline: number; serverVersion: number }> {
  const sql = `SELECT current_setting('server_version_num'),
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END`;
  // The simple protocol: replication connections have no other.
  const { rows } = await runSimple(client, sql, name);
  const [version, timeline] = rows[0] ?? [];
  if (timeline === null || timeline === undefined) {
    throw new BatonError('UNAVAILABLE', `${name} is a standby, and changes are read from a primary`, {
      retryable: true,
      hint: 'name all hosts of the cluster in the address',
    });
  }
  return { timeline: Number.parseInt(timeline, 16), serverVersion: Number(version) };
}

export type TextRows = {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly fields: readonly Pick<pg.FieldDef, 'name' | 'tableID' | 'columnID' | 'dataTypeID'>[];
};

/** What was asked last on a connection: the driver takes one question at a time. */
const tails = new WeakMap<pg.Client, Promise<unknown>>();

/** One statement without parameters, also on a replication connection; rows are arrays of PostgreSQL's own text. Throws BatonErrors. */
export async function runSimple(client: pg.Client, sql: string, node: string): Promise<TextRows> {
  return await inTurn(client, node, () => client.query<(string | null)[]>({ text: sql, rowMode: 'array' }));
}

/** One statement with parameters; rows are arrays of PostgreSQL's own text. Throws BatonErrors. */
export async function runQuery(
  client: pg.Client,
  sql: string,
  values: readonly (string | null | readonly (string | null)[])[],
  node: string,
): Promise<TextRows> {
  return await inTurn(client, node, () =>
    client.query<(string | null)[]>({ text: sql, values: [...values], rowMode: 'array' }),
  );
}

async function inTurn(client: pg.Client, node: string, ask: () => Promise<TextRows>): Promise<TextRows> {
  const before = tails.get(client) ?? Promise.resolve();
  const answer = before.then(ask, ask);
  tails.set(client, answer);
  try {
    return await answer;
  } catch (error) {
    throw toSourceError(error, node);
  }
}

async function openClient(
  address: PostgresAddress,
  host: PostgresHost,
  passwordFor: PasswordFor,
  options: OpenOptions,
): Promise<pg.Client> {
  const tls = address.tls.mode === 'disable' || host.host.startsWith('/') ? false : tlsOptions(address.tls);
  try {
    return await tryClient(address, host, passwordFor, options, tls);
  } catch (error) {
    const isPlainServer = error instanceof Error && error.message.includes('does not support SSL');
    if (!isPlainServer || address.tls.mode !== 'prefer') throw toSourceError(error, formatHost(host));
  }
  return await tryClient(address, host, passwordFor, options, false).catch((error: unknown) => {
    throw toSourceError(error, formatHost(host));
  });
}

async function tryClient(
  address: PostgresAddress,
  { host, port }: PostgresHost,
  passwordFor: PasswordFor,
  { replication = false, statementMs = streamLimits.statementMs, signal }: OpenOptions,
  ssl: ConnectionOptions | false,
): Promise<pg.Client> {
  const { client_encoding, ...others } = sessionSettings;
  const settings = {
    ...others,
    statement_timeout: String(statementMs),
    idle_in_transaction_session_timeout: '0',
    // What little we write is nobody's data, and must not wait for a standby.
    synchronous_commit: 'local',
  };
  const configuration = {
    host,
    port,
    user: address.user,
    database: address.database,
    // Empty rather than absent: what is absent, the driver looks for by itself.
    password: passwordFor({ host, port }) ?? '',
    ssl,
    application_name: address.applicationName,
    client_encoding,
    connectionTimeoutMillis: address.connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value.replaceAll('\\', '\\\\').replaceAll(' ', '\\ ')}`)
      .join(' '),
    types: { getTypeParser: () => (text: string) => text },
    ...(replication ? { replication: 'database' } : {}),
  };
  const client = new pg.Client(configuration);
  // What breaks an idle connection shows at its next use; without a listener it would end the process.
  client.on('error', () => undefined);
  const giveUp = (): void => void socketOf(client).destroy();
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    await client.connect();
    return client;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

function tlsOptions({ mode, rootCertificatePath, certificatePath, keyPath }: TlsChoice): ConnectionOptions {
  // `require` with a certificate authority is `verify-ca` ("34.19.1. Client Verification of Server Certificates").
  const isVerified =
    mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && rootCertificatePath !== undefined);
  return {
    rejectUnauthorized: isVerified,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(rootCertificatePath === undefined ? {} : { ca: readPem(rootCertificatePath) }),
    ...(certificatePath === undefined ? {} : { cert: readPem(certificatePath) }),
    ...(keyPath === undefined ? {} : { key: readPem(keyPath) }),
  };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
