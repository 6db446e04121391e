// Transfers by method=logical between real nodes.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Server } from '@batondb/mariadb';
import {
  compareNodes,
  type GaleraCluster,
  type GaleraNode,
  startGalera,
  startGaleraLoad,
} from '@batondb/testbed/galera';
import { killProcess, waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { findDump, startRowsDump } from '../src/donor/dump.ts';
import { type DumpPlan, planDump } from '../src/donor/logical-checks.ts';
import { checkNode } from '../src/node/check/check-node.ts';
import { SqlSession } from '../src/sql-session.ts';
import { parseRecovered } from '../src/state/recovered-position.ts';
import { dataOf } from './joining.ts';
import { makeMethod } from './method.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const timeout = 240_000;
const auth = { user: 'sst', password: 'of-all-nodes' };
const grant = `GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON *.* TO 'sst'@'localhost';
  REVOKE RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICA MONITOR ON *.* FROM 'sst'@'localhost'`;
/** One of everything that a dump could lose. */
const everything = `CREATE DATABASE shop; USE shop;
  CREATE TABLE kinds (id INT PRIMARY KEY AUTO_INCREMENT, k INT DEFAULT 3, g DOUBLE, s VARCHAR(50) CHARACTER SET sjis, b BLOB, j JSON,
    ts TIMESTAMP(6) NULL, bits BIT(5), p POINT, u UUID, i INET6, stored INT AS (k * 2) STORED, virtual INT AS (k + 1) VIRTUAL,
    hidden INT INVISIBLE DEFAULT 7, KEY (k)) ENGINE=InnoDB;
  INSERT INTO kinds (g, s, b, j, ts, bits, p, u, i) SELECT RAND(seq) * POW(10, seq % 20), CONCAT('表', seq, '\\''), UNHEX(SHA1(seq)),
    JSON_OBJECT('a', seq), FROM_UNIXTIME(seq * 1e6 + 0.123456), seq % 32, POINT(seq / 3.0, 1), UUID(), '::1' FROM seq_1_to_1000;
  CREATE TABLE versioned (id INT PRIMARY KEY, n INT) ENGINE=InnoDB WITH SYSTEM VERSIONING;
  INSERT INTO versioned VALUES (1, 1), (2, 2); UPDATE versioned SET n = n + 1; DELETE FROM versioned WHERE id = 2;
  CREATE SEQUENCE numbers START WITH 100 NOCACHE; DO NEXTVAL(numbers);
  CREATE TABLE parts (id INT PRIMARY KEY, n INT) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 3;
  INSERT INTO parts SELECT seq, seq FROM seq_1_to_100;
  CREATE TABLE log (n INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parts_of (id)) ENGINE=InnoDB;
  CREATE FUNCTION five() RETURNS INT DETERMINISTIC RETURN 5;
  CREATE VIEW seen AS SELECT id, k + five() AS k FROM kinds;
  CREATE TRIGGER noted AFTER INSERT ON parts FOR EACH ROW INSERT INTO log VALUES (NEW.id);
  CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM log;
  CREATE USER 'reader'@'%' IDENTIFIED BY 'secret'; CREATE ROLE readers; GRANT SELECT ON shop.* TO readers; GRANT readers TO 'reader'@'%';`;
/** Its first fragments are in Galera's own table before it ends. */
const streaming = `SET SESSION wsrep_trx_fragment_unit = 'rows', wsrep_trx_fragment_size = 5; START TRANSACTION;
  INSERT INTO shop.log SELECT seq FROM shop.seq_1001_to_1050;`;
const parent = 'CREATE TABLE shop.parts_of (id INT PRIMARY KEY) ENGINE=InnoDB;';

async function startCluster(sandbox: Sandbox, sst: Readonly<Record<string, string>> = {}): Promise<GaleraCluster> {
  const path = [await makeMethod(sandbox)];
  const cluster = await startGalera(sandbox, {
    running: 1,
    method: 'baton',
    auth,
    path,
    sst: { method: 'logical', ...sst },
  });
  const [database = '', ...rest] = everything.split(';');
  await cluster.first.sql([database, parent, ...rest, grant].join(';'));
  return cluster;
}

/** What InnoDB recovers, as every start of a node asks it. */
async function recovered(node: GaleraNode): Promise<string> {
  const argv = ['mariadbd', `--defaults-file=${node.optionFile}`, '--wsrep-recover'];
  const { stderr } = await mustRun(argv, {});
  const position = parseRecovered(stderr);
  return `${position?.uuid}:${position?.seqno}`;
}

// Proves: a node with pages of another size, encrypted, is given its state as SQL under write load, streaming transactions included, with its position inside InnoDB, is equal table by table, and what a crash recovers later is right (G3).
test('a node joins by method=logical, and takes the incremental path after a crash', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  await using cluster = await startCluster(sandbox);
  await using load = await startGaleraLoad(cluster.first);
  const node = cluster.node(2);
  const keys = `${node.place.path}/keys`;
  writeFileSync(keys, `1;${'0123456789abcdef'.repeat(4)}\n`);
  const encryption = { 'plugin-load-add': 'file_key_management', 'file-key-management-filename': keys };
  node.configure({ server: { 'innodb-page-size': '8k', 'innodb-encrypt-tables': 'ON', ...encryption } });
  await using client = await SqlSession.start({ socketPath: cluster.first.socketPath });
  const { signal } = new AbortController();
  await client.ask(streaming, signal);
  await node.start();
  await node.untilSynced();
  assert.match(node.log(), /baton joiner: the new data is in place/);
  t.diagnostic(`${load.accepted} transactions meanwhile, the longest stall ${Math.round(load.longestStallMs)} ms`);
  t.diagnostic(/the cluster waited for .* s/.exec(cluster.first.log())?.[0] ?? '');
  assert.equal(await node.value('SELECT COUNT(*) > 0 FROM mysql.wsrep_streaming_log'), '1');
  await client.ask('COMMIT;', signal);
  await cluster.untilEqual();
  await node.kill();
  const position = await recovered(node);
  await node.start({ more: [`--wsrep_start_position=${position}`] });
  await node.untilSynced();
  assert.match(node.log(), /the old data is good enough/);
  await load.stop();
  await assertEqual(cluster);
  const encrypted =
    "SELECT COUNT(*) > 0 FROM information_schema.innodb_tablespaces_encryption WHERE name LIKE 'shop/%' AND encryption_scheme = 1";
  assert.deepEqual(await node.sql(`SELECT @@innodb_page_size; ${encrypted}`), [['8192'], ['1']]);
  assert.deepEqual(leftIn(node), []);
});

// Proves: whatever ends a transfer in its middle, the old data is what it was, nothing of ours runs on, and the next attempt works (G1, G6, G7).
test('a transfer by method=logical that fails leaves the old data', { timeout }, async (t) => {
  await using sandbox = makeSandbox();
  await using cluster = await startCluster(sandbox);
  const { first } = cluster;
  const node = cluster.node(2);
  await node.start();
  await node.untilSynced();
  await node.stop();
  const grastate = `${node.dataDirectory}/grastate.dat`;
  const uuid = /^uuid:.*$/m.exec(readFileSync(grastate, 'utf8'))?.[0] ?? '';
  const faults: Readonly<Record<string, { readonly act: () => Promise<void>; readonly says: RegExp }>> = {
    'the temporary server is killed': {
      act: () => killTemporary(node),
      says: /temporary server has not taken the dump/,
    },
    "the joiner's server is killed": { act: () => node.kill(), says: /loading a dump/ },
    'a definition changes': {
      act: async () => void (await first.sql('ALTER TABLE shop.kinds ADD COLUMN more INT')),
      says: /changed by DDL/,
    },
  };
  const random = new Random(seedOfRun());
  t.diagnostic(`seed ${seedOfRun()}`);
  const chosen = random.integer(0, Object.keys(faults).length - 1);
  const all = Object.entries(faults);
  for (const [name, { act, says }] of isSoak ? all : all.slice(chosen, chosen + 1)) {
    // A node that does not say how far its data goes is given all of it.
    writeFileSync(grastate, `# GALERA saved state\nversion: 2.1\n${uuid}\nseqno:   -1\nsafe_to_bootstrap: 0\n`);
    first.configure({ sst: { method: 'logical', compression: 'none', bwlimit: '800K' } });
    const old = dataOf(node);
    const since = node.log().length;
    await node.start();
    await node.withLog(waitUntil(name, () => /loading a dump/.test(node.log().slice(since)), 60_000, 20));
    await waitUntil('rows are loaded', () => existsSync(`${node.dataDirectory}/.sst/new/mysql`), 60_000, 20);
    await act();
    await node.untilEnd();
    await waitUntil(`nothing is left after ${name}`, () => node.childProcesses().length === 0, 30_000, 50);
    await first.untilSynced();
    assert.match(node.log().slice(since), says, name);
    assert.deepEqual(dataOf(node), old, name);
  }
  first.configure({ sst: { method: 'logical' } });
  await node.start();
  await node.untilSynced();
  await assertEqual(cluster);
  assert.deepEqual(leftIn(node), []);
});

// Proves: what a dump would lose is refused, each with its name, before the cluster is troubled.
test('what a dump cannot carry is refused', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using cluster = await startGalera(sandbox, { nodes: 1, method: 'baton', path: [await makeMethod(sandbox)] });
  const { first } = cluster;
  const signal = AbortSignal.timeout(timeout);
  const plan = async (user = 'root'): Promise<DumpPlan> =>
    await planDump(await Server.connect({ socketPath: first.socketPath, user }, signal), signal);
  await first.sql('CREATE DATABASE d; CREATE TABLE d.good (id INT PRIMARY KEY, f DOUBLE) ENGINE=InnoDB');
  assert.deepEqual(await plan(), { schemas: ['d'], tables: [{ schema: 'd', name: 'good' }] });
  const refused = async (statement: string, message: RegExp): Promise<void> => {
    await first.sql(`CREATE TABLE d.bad ${statement}`);
    await assert.rejects(plan(), { code: 'UNSUPPORTED', message });
    await first.sql('DROP TABLE d.bad');
  };
  first.configure({ sst: { method: 'logical' } });
  const dumpFinding = async (): Promise<unknown> =>
    (await checkNode([`--defaults-file=${first.optionFile}`], signal)).filter(({ subject }) => subject === 'dump');
  assert.match(JSON.stringify(await dumpFinding()), /"ok".*all of 1 tables can be dumped/);
  await first.sql('CREATE TABLE d.bad (f FLOAT) ENGINE=InnoDB');
  assert.match(JSON.stringify(await dumpFinding()), /"(error|problem)".*d\.bad\.f is FLOAT/);
  await first.sql('DROP TABLE d.bad');
  await refused('(id INT PRIMARY KEY, f FLOAT) ENGINE=InnoDB', /d\.bad\.f is FLOAT/);
  await refused('(id INT PRIMARY KEY) ENGINE=Aria', /d\.bad is a table of the engine Aria/);
  const versioned = `(id INT PRIMARY KEY, a BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, b BIGINT UNSIGNED GENERATED ALWAYS AS ROW END,
    PERIOD FOR SYSTEM_TIME (a, b)) ENGINE=InnoDB WITH SYSTEM VERSIONING`;
  await refused(versioned, /d\.bad\.a holds numbers of transactions/);
  // Its output has to be there for who reads it only after its end.
  await first.sql('INSERT INTO d.good VALUES (1, 0.1)');
  const place = {
    server: { socketPath: first.socketPath, user: 'root' },
    program: findDump(),
    directory: sandbox.path,
  };
  const rows = await startRowsDump(place, ['d'], signal);
  await rows.done;
  assert.match(await text(rows.content), /INSERT INTO `good` VALUES\n\(1,0\.1\)/);
  await first.sql('SET GLOBAL wsrep_sync_wait = 1');
  await assert.rejects(plan(), { code: 'UNSUPPORTED', message: /wsrep_sync_wait is 1/ });
  await first.sql('SET GLOBAL wsrep_sync_wait = 0');
  await first.sql("CREATE USER 'weak'@'localhost'; GRANT SELECT ON d.* TO 'weak'@'localhost'");
  await assert.rejects(plan('weak'), { code: 'ACCESS_DENIED', message: /may not SELECT, SHOW VIEW/ });
});

async function assertEqual(cluster: GaleraCluster): Promise<void> {
  await cluster.untilEqual();
  const question = `SELECT (SELECT next_not_cached_value FROM shop.numbers), (SELECT COUNT(*) FROM shop.versioned FOR SYSTEM_TIME ALL),
    (SELECT GROUP_CONCAT(node_name ORDER BY node_name) FROM mysql.wsrep_cluster_members), shop.five()`;
  const [ours, theirs] = await Promise.all(cluster.nodes.map((one) => one.sql(question)));
  assert.deepEqual(theirs, ours);
  // A dump of the comparison would lock it, which no node of a cluster lets it.
  await cluster.first.sql('DROP SEQUENCE shop.numbers');
  await cluster.untilEqual();
  assert.deepEqual(await compareNodes(cluster.first, cluster.node(2)), []);
}

function leftIn(node: GaleraNode): string[] {
  return readdirSync(node.dataDirectory).filter((name) => /^\.sst|baton|sst_in_progress|tables_flushed/.test(name));
}

async function killTemporary(node: GaleraNode): Promise<void> {
  const server = node.childProcesses().find(({ executable }) => executable.endsWith('/mariadbd'));
  assert.ok(server !== undefined, 'there is no temporary server');
  await killProcess(server.pid);
}
