import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { formatBytes, formatCount, formatDuration, formatRate } from '@batondb/core/text/format';
import { createClient } from '@libsql/client';
import { root } from './baton.ts';
import { expect } from './failure.ts';
import { loadLibrary, search } from './library.ts';
import { runQuietly } from './quietly.ts';
import type { Screen } from './screen.ts';
import { DemoServer, type Joining, type ServerStatus } from './server.ts';
import { accounts, bankSchema, startBalance, Writers } from './writers.ts';

// What the demo shows of databases, step by step. Each step throws DemoFailure when it sees something else.

const writersCount = 4;
/** Work between a step's change and its look at it. */
const workMs = 1500;
/** So little that the log of a small data set does not reach back to its begin either, and a replica has to take a snapshot. */
const retained = '1MiB';
const catchUpMsMax = 30_000;

/** A leader, a replica and writers. Disposing ends them all. */
export class SqliteDemo implements AsyncDisposable {
  readonly directory: string;
  readonly #screen: Screen;
  #leader: DemoServer | undefined;
  #replica: DemoServer | undefined;
  #writers: Writers | undefined;

  constructor(directory: string, screen: Screen) {
    this.directory = directory;
    this.#screen = screen;
    mkdirSync(resolve(root, directory), { recursive: true });
  }

  get leader(): DemoServer {
    expect(this.#leader !== undefined, 'the leader was not started');
    return this.#leader;
  }

  get replica(): DemoServer {
    expect(this.#replica !== undefined, 'the replica was not started');
    return this.#replica;
  }

  get backupDirectory(): string {
    return `${this.directory}/backup`;
  }

  /** The words that start the leader. */
  leaderWords(): string[] {
    return [
      `${this.directory}/leader`,
      ...['--listen', this.#leader?.hostAndPort ?? '127.0.0.1:0'],
      ...['--retain', retained],
    ];
  }

  replicaWords(): string[] {
    return [
      `${this.directory}/replica`,
      '--listen',
      this.#replica?.hostAndPort ?? '127.0.0.1:0',
      '--follow',
      this.leader.url,
    ];
  }

  /** A server with data that a stock client writes. */
  async serve(): Promise<void> {
    const screen = this.#screen;
    screen.step(
      1,
      'a database on a log',
      'A server keeps SQLite databases on a log, and any libSQL client writes to it: here the texts of all packages that this checkout brings along, with a full-text index.',
    );
    screen.command(`./baton sqlite serve ${this.leaderWords().join(' ')}`);
    this.#leader = await DemoServer.start(this.leaderWords(), `${this.directory}/leader.log`);
    screen.news(
      `it listens at ${this.leader.url}, process ${this.leader.pid}; the same address in a browser shows what follows`,
    );
    const loaded = await loadLibrary(this.leader.url, (done, total) =>
      screen.progress([`loading  ${formatBytes(done).padStart(9)} of ${formatBytes(total)}`], performance.now()),
    );
    const client = createClient({ url: this.leader.url });
    const word = 'snapshot';
    const found = await search(client, word);
    await client.batch([...bankSchema], 'write');
    client.close();
    expect(found.count > 0, `nothing was found about ${word}`);
    screen.seen(
      `${formatCount(loaded.files, 'text')}, ${formatBytes(loaded.bytes)}, in ${loaded.seconds.toFixed(1)} s; each batch was on the disk before its answer`,
    );
    screen.seen(`“${word}” is in ${found.count} of them, most of all in ${found.best}`);
    await this.#stopAndStart(loaded.files);
  }

  /** After an orderly stop a database is a file that any SQLite opens. */
  async #stopAndStart(files: number): Promise<void> {
    await this.leader.stop();
    const path = `${this.directory}/leader/main.db`;
    {
      using database = new DatabaseSync(resolve(root, path), { readOnly: true });
      const count = Number(database.prepare('SELECT count(*) AS count FROM files').get()?.['count']);
      expect(count === files, `${path} has ${count} texts, and not ${files}`);
    }
    this.#screen.seen(
      `stopped in order, it leaves ${path}, which the SQLite in Node opens: ${formatCount(files, 'text')}`,
    );
    this.#leader = await DemoServer.start(this.leaderWords(), `${this.directory}/leader.log`);
  }

  /** A replica, while writers are at work. */
  async join(): Promise<void> {
    const screen = this.#screen;
    screen.step(
      2,
      'a replica joins while writers work',
      `${writersCount} writers move money between ${accounts} accounts without a pause. A replica takes a snapshot meanwhile, and then follows the log.`,
    );
    this.#writers = new Writers(this.leader.url, writersCount);
    screen.command(`./baton sqlite serve ${this.replicaWords().join(' ')}`);
    const startMs = performance.now();
    const onJoining = (progress: Joining): void => screen.progress([joiningLine(progress)], performance.now());
    this.#replica = await DemoServer.start(this.replicaWords(), `${this.directory}/replica.log`, onJoining);
    const joined = await this.#awaitSame();
    screen.seen(
      `it joined after ${((performance.now() - startMs) / 1000).toFixed(1)} s, and is at ${joined.position}; ${formatBytes(sizeOf(joined))}`,
    );
    await delay(workMs);
    screen.seen(
      `the writers went on: ${formatCount(this.#writers.acknowledged.size, 'transaction')} acknowledged so far`,
    );
  }

  /** The leader is killed, by the reader or by us, and started again. */
  async kill(waitMs: number): Promise<void> {
    const screen = this.#screen;
    const { leader } = this;
    const writers = this.#writers!;
    screen.step(
      3,
      'kill -9',
      'No goodbye and no cleaning up. What the server acknowledged has to be there afterwards, what it did not has to be there whole or not at all, and a receipt says which.',
    );
    if (waitMs > 0)
      screen.news(
        `your turn, in another terminal: kill -9 ${leader.pid}   (in ${Math.round(waitMs / 1000)} s the demo does it)`,
      );
    const byReader = await leader.kill(waitMs);
    screen.deed(byReader ? `you killed process ${leader.pid}` : `kill -9 ${leader.pid}`);
    const told = writers.acknowledged.size;
    screen.command(`./baton sqlite serve ${this.leaderWords().join(' ')}`);
    this.#leader = await DemoServer.start(this.leaderWords(), `${this.directory}/leader.log`);
    screen.news(
      `it is back at ${this.leader.ready.position}, process ${this.leader.pid}; the writers and the replica find it by themselves`,
    );
    await delay(workMs);
    await writers.end();
    await this.#judge(told);
    const same = await this.#awaitSame();
    const checksums = same.databases.map(({ name, checksum }) => `${name} ${checksum}`).join(', ');
    screen.seen(`leader and replica are at ${same.position} with the same checksum of all pages: ${checksums}`);
  }

  /** A consistent file of the database, while writers go on. */
  async backup(): Promise<void> {
    const screen = this.#screen;
    screen.step(
      4,
      'a backup while writers work',
      'One consistent state, as an ordinary SQLite file. Another SQLite judges it: the one in Node.',
    );
    this.#writers = new Writers(this.leader.url, writersCount);
    mkdirSync(resolve(root, this.backupDirectory), { recursive: true });
    const file = `${this.backupDirectory}/library.db`;
    const words = ['sqlite', 'backup', this.leader.url, file];
    screen.command(`./baton ${words.join(' ')}`);
    await runQuietly(words);
    await this.#writers.end();
    using database = new DatabaseSync(resolve(root, file), { readOnly: true });
    const [check] = Object.values(database.prepare('PRAGMA integrity_check').get() ?? {});
    const total = Number(database.prepare('SELECT sum(balance) AS total FROM accounts').get()?.['total']);
    expect(check === 'ok', `${file}: integrity_check says ${String(check)}`);
    expect(
      total === accounts * startBalance,
      `${file}: the accounts have ${total} together, and not ${accounts * startBalance}`,
    );
    screen.seen(`integrity_check: ok; the accounts have ${total} together, as at every moment`);
  }

  /** Ends the servers in order; the databases are ordinary files then. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writers?.end();
    await this.#replica?.stop();
    await this.#leader?.stop();
  }

  async #judge(told: number): Promise<void> {
    const { acknowledged, unknown } = this.#writers!;
    const client = createClient({ url: this.leader.url });
    const { rows } = await client.execute('SELECT key FROM ledger');
    const sum = await client.execute('SELECT sum(balance) AS total FROM accounts');
    client.close();
    const stored = new Set(rows.map((row) => row['key'] as string));
    const lost = acknowledged.difference(stored);
    expect(lost.size === 0, `${lost.size} acknowledged transactions are gone`);
    let committed = 0;
    for (const key of unknown) {
      const { state } = (await (await fetch(`${this.leader.url}/txn/${key}`)).json()) as { readonly state: string };
      expect((state === 'committed') === stored.has(key), `the receipt of ${key} says ${state}`);
      if (state === 'committed') committed += 1;
    }
    const strangers = stored.difference(acknowledged.union(unknown));
    expect(strangers.size === 0, `${strangers.size} transactions are stored that nobody sent`);
    expect(Number(sum.rows[0]?.['total']) === accounts * startBalance, 'money was made or lost');
    const screen = this.#screen;
    screen.seen(
      `acknowledged before the kill: ${told}, of which stored: ${told}; acknowledged in all: ${acknowledged.size}, stored: ${acknowledged.size}`,
    );
    screen.seen(
      `${formatCount(unknown.size, 'attempt')} never got an answer; their receipts say: ${committed} committed, ${unknown.size - committed} not, and so it is`,
    );
  }

  /** Waits until the replica is at the leader's position, and compares. While writers work, positions never stand still: then any will do. */
  async #awaitSame(): Promise<ServerStatus> {
    const endMs = performance.now() + catchUpMsMax;
    for (;;) {
      const leader = await this.leader.status();
      const replica = await this.replica.status();
      if (replica.databases.length > 0 && indexOf(replica) >= indexOf(leader)) {
        const checksum = (status: ServerStatus): string => status.databases.map((database) => database.checksum).join();
        expect(
          replica.position !== leader.position || checksum(replica) === checksum(leader),
          'leader and replica differ at the same position',
        );
        return replica;
      }
      expect(performance.now() < endMs, `the replica is at ${replica.position}, and the leader at ${leader.position}`);
      await delay(100);
    }
  }
}

function joiningLine({ doneBytes, totalBytes, rateBytesPerSecond, etaSeconds }: Joining): string {
  const rest = etaSeconds === undefined || doneBytes >= totalBytes ? '' : `, ETA ${formatDuration(etaSeconds * 1000)}`;
  return `joining  ${formatBytes(doneBytes).padStart(9)} of ${formatBytes(totalBytes)}, ${formatRate(rateBytesPerSecond)}${rest}`;
}

function indexOf({ position }: ServerStatus): number {
  return Number(position.split('.')[1]);
}

function sizeOf({ databases }: ServerStatus): number {
  return databases.reduce((sum, { pageCount, pageBytes }) => sum + pageCount * pageBytes, 0);
}
