import { resolve } from 'node:path';
import { formatCount } from '@batondb/core/text/format';
import type { ServerAccess } from '@batondb/service/client';
import {
  announce,
  formatPosition,
  type NodeOptions,
  openNode,
  type RunningServer,
  type ServerOptions,
  type SqliteNode,
  startServer,
} from '@batondb/sqlite';
import { Registry } from 'prom-client';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { readAccess } from '../service/access.ts';
import type { CommandContext } from '../service/context.ts';
import { protectionOf } from '../service/listen-options.ts';
import { makeServiceLog, type ServiceLog } from '../service/log.ts';
import { managerOf, reloading } from '../service/manager.ts';
import { watchService } from '../service/signals.ts';
import { etcdLogOf } from './etcd-log.ts';
import { showJoining } from './joining.ts';
import { tokensPath } from './places.ts';
import type { ServeFlags } from './serve-command.ts';

/** Serves a directory until a signal stops it, and returns the exit code. */
export async function runServe(directory: string, flags: ServeFlags, context: CommandContext): Promise<number> {
  const { stdout, stderr, environment } = context;
  const log = makeServiceLog({ form: flags.json ? 'json' : 'plain', level: flags.logLevel }, stderr);
  const signals = watchService(log);
  await using started = new AsyncDisposableStack();
  const node = started.use(await openNode(nodeOptions(directory, flags, environment)));
  const registry = new Registry();
  node.registerMetrics(registry);
  const databases = node.clients();
  const server = started.use(await startServer(databases, serverOptions(directory, flags, log, registry)));
  started.use(announce(directory, server.url));
  const tell = managerOf(environment, log);
  const stop = new AbortController();
  const stopped = signals.stopped.finally(() => stop.abort());
  signals.begin(() => reload(server, log));
  const isJson = flags.json ?? false;
  if (await isUnlessAborted(showJoining({ node, databases, isJson, context, log, tell }, stop.signal), stop.signal)) {
    signals.begin(() => {
      tell(...reloading());
      reload(server, log);
      tell('READY=1');
    });
    tell('READY=1', 'STATUS=serving');
    await stdout.writeLines([readyLine(node, server, flags, await databaseNames(node))]);
  }
  const name = await stopped;
  tell('STOPPING=1', 'STATUS=letting transactions come to their end');
  log.info({ signal: name }, `${name}: letting transactions come to their end`);
  await started.disposeAsync();
  log.info({}, 'stopped: the databases are ordinary files again');
  return exitCodes.ok;
}

function nodeOptions(directory: string, flags: ServeFlags, environment: NodeJS.ProcessEnv): NodeOptions {
  const log = etcdLogOf(flags, environment);
  const { follow, promote, maxLag, retain, backupTo, every, keep } = flags;
  const { readers, cache, transactionLimit, statementLimit, adopt } = flags;
  return {
    directory,
    adopt,
    ...(follow === undefined ? {} : { follow: { url: follow, ...followAccess(flags) } }),
    ...(log === undefined ? {} : { log }),
    ...(promote === undefined ? {} : { promote }),
    ...(maxLag === undefined ? {} : { maxLagMs: maxLag }),
    ...(backupTo === undefined
      ? {}
      : { backupTo: { directory: resolve(backupTo), everyMs: every, keep }, restoreIfEmpty: true }),
    ...(retain === undefined ? {} : { retainBytes: retain }),
    ...(readers === undefined ? {} : { readers }),
    ...(cache === undefined ? {} : { cacheKib: Math.max(1, Math.floor(cache / 1024)) }),
    ...(transactionLimit === undefined ? {} : { transactionMsMax: transactionLimit }),
    ...(statementLimit === undefined ? {} : { statementMsMax: statementLimit }),
  };
}

/** The token of a leader comes from a file alone: BATON_TOKEN is what this machine's own commands show. */
function followAccess({ followTokenFile, followCa }: ServeFlags): ServerAccess {
  return readAccess(
    {
      ...(followTokenFile === undefined ? {} : { tokenFile: followTokenFile }),
      ...(followCa === undefined ? {} : { ca: followCa }),
    },
    {},
  );
}

function serverOptions(directory: string, flags: ServeFlags, log: ServiceLog, registry: Registry): ServerOptions {
  const { listen, tokenFile, transactionLimit, idleLimit, stopLimit } = flags;
  return {
    ...(listen === undefined ? {} : { listen }),
    tokenPath: tokenFile ?? tokensPath(directory),
    ...protectionOf(flags),
    registry,
    settings: {
      origins: flags.allowOrigin,
      hosts: flags.allowHost,
      ...(transactionLimit === undefined ? {} : { transactionMsMax: transactionLimit }),
      ...(idleLimit === undefined ? {} : { streamIdleMsMax: idleLimit }),
      ...(stopLimit === undefined ? {} : { stopMsMax: stopLimit }),
    },
    onFault: (fault) => log.error({ err: fault }, 'a request failed by an error of the server itself'),
  };
}

/** False: it ended because the signal said so. */
async function isUnlessAborted(work: Promise<void>, signal: AbortSignal): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!signal.aborted) throw error;
    return false;
  }
}

async function databaseNames(node: SqliteNode): Promise<readonly string[]> {
  return (await node.status()).databases.map(({ name }) => name);
}

function readyLine(
  node: SqliteNode,
  server: RunningServer,
  { json }: ServeFlags,
  databases: readonly string[],
): string {
  const position = formatPosition(node.position);
  const { directory } = node;
  if (json) {
    const { pid } = process;
    return jsonLine({ type: 'ready', url: server.url, directory, position, databases, pid }, Date.now());
  }
  const names = databases.length === 0 ? '' : ` (${databases.join(', ')})`;
  return `ready: ${server.url} serves ${directory} at position ${position}, ${formatCount(databases.length, 'database')}${names}`;
}

function reload(server: RunningServer, log: ServiceLog): void {
  try {
    server.reloadCertificate();
    log.info({}, 'SIGHUP: the certificate was read again');
  } catch (error) {
    log.error({ err: error }, 'SIGHUP: the certificate was not taken, the earlier one goes on');
  }
}
