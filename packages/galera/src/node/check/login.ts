import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, toolEnvironment } from '@batondb/mariadb/client';
import type { Credentials } from '../../contract/credentials.ts';
import { dumpPrivileges } from '../../donor/logical-checks.ts';
import type { Settings } from '../../settings/settings.ts';
import { type Ran, runProgram } from '../run-program.ts';
import { type CheckFinding, ok, problem, warning } from './finding.ts';
import type { Node } from './node.ts';

/** What a hot backup needs, each by the names that it has had. */
const needed: readonly (readonly string[])[] = [
  ['RELOAD'],
  ['PROCESS'],
  ['LOCK TABLES'],
  ['BINLOG MONITOR', 'REPLICATION CLIENT'],
];

/** Privileges for all databases that a transfer by the method needs and these answers of SHOW GRANTS do not give. Pure. */
export function missingPrivileges(grants: readonly string[], method: Settings['method'] = 'backup'): string[] {
  const given = grants.flatMap((grant) => /^GRANT (.+?) ON \*\.\* TO /.exec(grant)?.[1]?.split(', ') ?? []);
  if (given.includes('ALL PRIVILEGES')) return [];
  const names = method === 'logical' ? dumpPrivileges.map((name) => [name]) : needed;
  return names.flatMap((one) => (one.some((name) => given.includes(name)) ? [] : [one[0] ?? '']));
}

/** Whether a backup of this server can log in: by wsrep_sst_auth, or as user mysql by unix_socket. Only a server that runs can tell. */
export async function checkLogin(node: Node, signal: AbortSignal): Promise<CheckFinding[]> {
  const { read, options, server } = node;
  if (read === undefined) return [];
  const { credentials } = read.settings;
  if (server === undefined) {
    const how = credentials === undefined ? 'unix_socket, as mysql' : `wsrep_sst_auth, as ${credentials.user}`;
    return [ok('login', `not tried: no server answers at ${options.socketPath}; donors log in by ${how}`)];
  }
  if (credentials === undefined && process.geteuid?.() !== 0)
    return [warning('login', 'only root can try to log in as mysql', 'run the check with sudo')];
  const who = credentials?.user ?? 'mysql';
  const { code, stdout, stderr } = await askGrants(options.socketPath, credentials, signal);
  if (code !== 0) {
    const next =
      credentials === undefined
        ? 'CREATE USER mysql@localhost IDENTIFIED VIA unix_socket, or set wsrep_sst_auth=USER:PASSWORD'
        : `look at wsrep_sst_auth, and at the accounts of ${who}`;
    return [problem('login', `a backup as ${who} is refused: ${stderr.trim()}`, next)];
  }
  const what = read.settings.method === 'logical' ? 'dump' : 'backup';
  const missing = missingPrivileges(stdout.split('\n'), read.settings.method);
  if (missing.length === 0) return [ok('login', `${who} can log in and take a ${what}`)];
  const list = missing.join(', ');
  return [problem('login', `${who} lacks ${list} for a ${what}`, `GRANT ${list} ON *.* TO '${who}'@'localhost'`)];
}

/** A password is in a file that only we can read, for as long as the client needs it (G10). */
async function askGrants(socketPath: string, credentials: Credentials | undefined, signal: AbortSignal): Promise<Ran> {
  const client = findProgram('mariadb') ?? findProgram('mysql') ?? 'mariadb';
  const rest = [
    '--host=localhost',
    `--socket=${socketPath}`,
    '--batch',
    '--skip-column-names',
    '--execute=SHOW GRANTS',
  ];
  if (credentials === undefined) {
    const asMysql = [
      'setpriv',
      '--reuid=mysql',
      '--regid=mysql',
      '--init-groups',
      client,
      '--no-defaults',
      '--user=mysql',
    ];
    return await runProgram([...asMysql, ...rest], signal, toolEnvironment());
  }
  const directory = mkdtempSync(join(tmpdir(), 'baton-check-'));
  try {
    const file = join(directory, 'login.cnf');
    writeFileSync(file, optionFile(credentials), { mode: 0o600 });
    return await runProgram([client, `--defaults-file=${file}`, ...rest], signal, toolEnvironment());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function optionFile({ user, password }: Credentials): string {
  const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  return `[client]\nuser=${quoted(user)}\npassword=${quoted(password)}\n`;
}
