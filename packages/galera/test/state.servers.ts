// Two data directories of real servers with different content, and what a server says of one.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type MariadbServer, startMariadb } from '@batondb/testbed/mariadb';
import { freePort } from '@batondb/testbed/ports';
import { mustRun, runCommand } from '@batondb/testbed/processes';
import type { Sandbox } from '@batondb/testbed/sandbox';

const provider = '/usr/lib/galera/libgalera_smm.so';

/** What a server says that stops since it finds the guard; any other end is a fault of the test. */
const refusal = /InnoDB: .*ibdata1[\s\S]*Unknown\/unsupported storage engine: InnoDB/;

/** What is in a data directory: as old as its position, and one row set for all engines. */
export type Content = { readonly uuid: string; readonly rows: string };

/** Makes a data directory of a cluster of its own; its server has ended in order. */
export async function makeData(sandbox: Sandbox, name: string, rows: number): Promise<Content> {
  const [port, more] = [await freePort(), await freePort()];
  const options = `gmcast.listen_addr=tcp://127.0.0.1:${port};ist.recv_addr=127.0.0.1:${more};pc.recovery=no`;
  await using server = await startMariadb(sandbox, {
    name,
    more: [
      '--innodb-autoinc-lock-mode=2',
      '--innodb-undo-tablespaces=2',
      '--wsrep-on=ON',
      `--wsrep-provider=${provider}`,
      '--wsrep-cluster-address=gcomm://',
      '--wsrep-new-cluster',
      '--wsrep-node-address=127.0.0.1',
      `--wsrep-provider-options=${options}`,
    ],
  });
  await server.sql(
    `CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY, owner TEXT) ENGINE=InnoDB;
     INSERT INTO shop.items SELECT seq, '${name}' FROM shop.seq_1_to_${rows};
     CREATE TABLE shop.notes (id INT PRIMARY KEY, owner TEXT) ENGINE=Aria;
     INSERT INTO shop.notes VALUES (1, '${name}');
     CREATE DATABASE only_${name}; CREATE TABLE only_${name}.t (id INT PRIMARY KEY) ENGINE=InnoDB;
     CREATE USER '${name}'@'localhost';`,
  );
  const uuid = await server.value(`SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
     WHERE VARIABLE_NAME = 'wsrep_local_state_uuid'`);
  const content = { uuid, rows: await rowsOf(server) };
  await server.stop();
  return content;
}

/** All that tells the content of one data directory from that of the other. */
async function rowsOf(server: MariadbServer): Promise<string> {
  const rows = await server.sql(
    `SELECT 'items', owner, COUNT(*), SUM(id) FROM shop.items GROUP BY owner;
     SELECT 'notes', owner, COUNT(*), SUM(id) FROM shop.notes GROUP BY owner;
     SELECT 'database', schema_name FROM information_schema.schemata WHERE schema_name LIKE 'only%' ORDER BY 2;
     SELECT 'user', user FROM mysql.user WHERE user IN ('old', 'new') ORDER BY 2;
     CHECK TABLE shop.items, shop.notes, mysql.global_priv EXTENDED;`,
  );
  return rows.map((row) => row.join(' ')).join('\n');
}

/** The command by which a position is asked for, without its last options. */
export function recoverArguments(sandbox: Sandbox, dataDirectory: string): string[] {
  const temporary = sandbox.join('recover-tmp');
  mkdirSync(temporary, { recursive: true });
  const wsrep = [
    '--wsrep-on=ON',
    `--wsrep-provider=${provider}`,
    '--wsrep-cluster-address=gcomm://',
    '--binlog-format=ROW',
  ];
  const small = [
    '--innodb-buffer-pool-size=32M',
    '--innodb-log-file-size=16M',
    '--log-bin=binlog',
    '--skip-networking',
  ];
  const places = [`--datadir=${dataDirectory}`, `--tmpdir=${temporary}`, `--socket=${sandbox.join('recover.sock')}`];
  return ['mariadbd', '--no-defaults', '--user=root', ...wsrep, ...small, ...places];
}

/** The uuid that `--wsrep-recover` finds; undefined when it refuses. */
export async function recoveredUuid(sandbox: Sandbox, dataDirectory: string): Promise<string | undefined> {
  const argv = [...recoverArguments(sandbox, dataDirectory), '--wsrep-recover', '--disable-log-error'];
  const { code, stderr } = await runCommand(argv);
  const uuid = /Recovered position: ([0-9a-f-]{36}):/.exec(stderr)?.[1];
  if (code === 0 ? uuid === undefined : !refusal.test(stderr))
    throw new Error(`neither a position nor a refusal: ${stderr}`);
  return code === 0 ? uuid : undefined;
}

/** What a server with Galera switched off finds; undefined when it refuses to start. */
export async function contentOf(
  sandbox: Sandbox,
  dataDirectory: string,
  more: readonly string[] = [],
): Promise<string | undefined> {
  let server: MariadbServer;
  try {
    server = await startMariadb(sandbox, { name: 'look', dataDirectory, more });
  } catch (error) {
    if (!/the server has ended/.test(String(error)) || !refusal.test(String(error))) throw error;
    return undefined;
  }
  await using _server = server;
  const rows = await rowsOf(server);
  await server.stop();
  return rows;
}

/** Puts both directories as they were before a swap: the old data in `data`, the new data in staging. */
export async function layOut(sandbox: Sandbox): Promise<string> {
  const data = sandbox.join('data');
  if (existsSync(data)) await mustRun(['rm', '-rf', data]);
  await mustRun(['cp', '-a', '--reflink=auto', sandbox.join('old/data'), data]);
  await mustRun(['mkdir', '-m', '700', join(data, '.sst')]);
  await mustRun(['cp', '-a', '--reflink=auto', sandbox.join('new/data'), join(data, '.sst/new')]);
  return data;
}

/** Names at the top of a data directory, for messages. */
export function topOf(directory: string): string {
  return readdirSync(directory).join(' ');
}
