import { resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { Registry } from 'prom-client';
import type { Databases } from '../databases.ts';
import type { Description } from '../engine/statement.ts';
import type { SqlArguments } from '../engine/values.ts';
import { Paths } from '../machine/paths.ts';
import { formatPosition, type Position } from '../machine/position.ts';
import type { FoundBackup } from '../snapshot/backup-format.ts';
import { BackupSchedule, type BackupSettings } from '../snapshot/backup-schedule.ts';
import { SnapshotDesk } from '../snapshot/desk.ts';
import { type ImportOptions, importFile } from '../snapshot/import.ts';
import type { Restored } from '../snapshot/restore.ts';
import type { NodeSnapshot } from '../snapshot/snapshot.ts';
import { ClientDatabases } from './client-databases.ts';
import { LocalReader } from './local-reader.ts';
import { registerNodeMetrics } from './metrics.ts';
import { NodeOperations } from './node-operations.ts';
import type { FollowOptions, NodeSettings } from './options.ts';
import { Replication, type ReplicationStatus } from './replication.ts';
import type { DatabaseInfo, NodeStatus, ReceiptState, RunReply, RunRequest, SqlStatement } from './request.ts';
import { type PositionedResult, type RunOptions, Session, Transaction } from './session.ts';
import { Threads } from './threads.ts';

/** Which database, and how. Default: `main`, which is made on first use. */
export type ExecuteOptions = RunOptions & { readonly database?: string };

/** How a read is done: on a state that is at least at a position, which it waits for. */
export type QueryOptions = Omit<ExecuteOptions, 'key'> & { readonly atLeast?: Position };

/** What a write gave. `isRepeated`: its key's transaction had been committed before, and nothing was run. */
export type WriteResult = PositionedResult & { readonly isRepeated: boolean };
export type BatchResult = Pick<RunReply, 'results' | 'position' | 'isRepeated'>;

const emptyResult = { columns: [], rows: [], changes: 0, lastInsertRowid: 0n };

/**
 * SQLite databases on a log, in this process. Writes are replied to when the log has them; reads see what the log has accepted, and
 * neither waits for the other. Ended by `close` or `await using`.
 */
export class SqliteNode implements AsyncDisposable {
  readonly directory: string;
  readonly #settings: NodeSettings;
  readonly #lock: Disposable;
  readonly #replication: Replication;
  #threads: Threads;
  readonly #databases = new Map<string, Promise<DatabaseInfo>>();
  /** What `PageIndex.names` was when they were looked up. */
  #names = 0;
  readonly #localReaders = new Set<LocalReader>();
  /** Snapshots for those who join. */
  readonly desk: SnapshotDesk = new SnapshotDesk(() => this.snapshot());
  readonly #ended = new AbortController();
  #backups: BackupSchedule | undefined;
  #restored: Restored | undefined;
  #closing: Promise<void> | undefined;
  /** While a snapshot takes the place of what is here. Never rejects. */
  #replacing: Promise<void> | undefined;

  /** Use `openNode`. */
  constructor(lock: Disposable, threads: Threads) {
    const { directory, settings, role } = threads.data;
    this.directory = directory;
    this.#settings = settings;
    this.#lock = lock;
    this.#threads = threads;
    this.#replication = new Replication({
      threads: () => this.#threads,
      desk: this.desk,
      replace: (change) => this.#replace(change),
      ...{ settings, role },
    });
  }

  /** Follows the node that it was opened to follow. Throws what that one refuses it with for good. */
  async follow(options: FollowOptions): Promise<void> {
    await this.#replication.follow(options);
  }

  /** Through which entry everything can be read here. */
  get position(): Position {
    return this.#threads.index.published().position;
  }

  /** Runs one statement and resolves when the log has what it did. Throws SqlError, REFUSED, NO_SPACE, TIMED_OUT, OUTCOME_UNKNOWN, LIMIT. */
  async execute(sql: string, args: SqlArguments = [], options: ExecuteOptions = {}): Promise<WriteResult> {
    const reply = await this.#write([{ sql, args }], options, false);
    return { ...(reply.results[0] ?? emptyResult), position: reply.position, isRepeated: reply.isRepeated };
  }

  /** Runs statements in one transaction: all of them, or none. Throws as `execute` does. */
  async batch(statements: readonly SqlStatement[], options: ExecuteOptions = {}): Promise<BatchResult> {
    const { results, position, isRepeated } = await this.#write(statements, options, true);
    return { results, position, isRepeated };
  }

  /** Runs a statement that changes nothing, in a reader's thread. Throws USAGE for one that writes; TIMED_OUT; HISTORY_LOST. */
  async query(sql: string, args: SqlArguments = [], options: QueryOptions = {}): Promise<PositionedResult> {
    const { results, position } = await this.queryAll([{ sql, args }], options);
    return { ...(results[0] ?? emptyResult), position };
  }

  /** Runs statements that change nothing at one and the same state. Throws as `query` does. */
  async queryAll(statements: readonly SqlStatement[], options: QueryOptions = {}): Promise<BatchResult> {
    const { atLeast, ...rest } = options;
    if (atLeast !== undefined) await this.#waitFor(atLeast);
    const info = await this.#database(options.database);
    const request = this.#request(statements, rest, false);
    const reply = await this.#reader().call('query', { ...request, info });
    if (reply === 'writes') throw new BatonError('USAGE', 'the statement writes', { hint: 'use execute()' });
    return reply;
  }

  /** Begins a transaction of several calls. `deferred`: it takes the right to write with its first write, and fails if somebody wrote meanwhile. */
  async transaction(
    options: Omit<ExecuteOptions, 'key'> & { readonly mode?: 'immediate' | 'deferred' } = {},
  ): Promise<Transaction> {
    const { mode = 'immediate', ...rest } = options;
    const session = await this.session(rest);
    try {
      await session.execute(mode === 'immediate' ? 'BEGIN IMMEDIATE' : 'BEGIN');
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    return new Transaction(session);
  }

  /** Opens a connection of its own, for a client that speaks SQL only. */
  async session(options: Omit<ExecuteOptions, 'key'> = {}): Promise<Session> {
    const { name } = await this.#database(options.database);
    const session = await this.#threads.writer.call('openSession', { database: name, isReadOnly: false });
    return new Session(this.#threads.writer, { ...this.#limits(options), database: name, session });
  }

  /** What a server asks for its clients. */
  clients(): Databases {
    const databases = new ClientDatabases({
      writer: () => this.#threads.writer,
      reader: () => this.#reader(),
      find: (name) => this.#database(name),
      waitFor: (position) => this.#waitFor(position),
      gate: () => this.#threads.gate,
      statementMsMax: this.#settings.statementMsMax,
      status: () => this.status(),
      peers: this.#replication.feeds,
      operations: new NodeOperations({
        incoming: new Paths(this.directory).incoming,
        status: () => this.status(),
        createDatabase: (name) => this.createDatabase(name),
        dropDatabase: (name) => this.dropDatabase(name),
        importFile: (path, name, options) => this.importFile(path, name, options),
        snapshot: () => this.snapshot(),
        backup: async () => {
          const { path, manifest } = await this.backup();
          return { path, position: manifest.position };
        },
      }),
    });
    return this.#replication.forward(databases);
  }

  /** Opens a synchronous reader in this thread. */
  async reader(database?: string): Promise<LocalReader> {
    const reader = new LocalReader(this.#threads.data, await this.#database(database));
    this.#localReaders.add(reader);
    return reader;
  }

  /** Parameters and columns of a statement. Throws SqlError. */
  async describe(sql: string, database?: string): Promise<Description> {
    const { name } = await this.#database(database);
    return await this.#threads.writer.call('describe', { database: name, sql });
  }

  /** Makes a database, or finds it. Throws USAGE for what cannot be a name. */
  async createDatabase(name: string, options: { readonly pageBytes?: number } = {}): Promise<DatabaseInfo> {
    const pageBytes = options.pageBytes ?? this.#settings.pageBytes;
    return await this.#threads.writer.call('openDatabase', { name, pageBytes });
  }

  /** Drops a database; its file is kept in the directory's `dropped`. Throws NOT_FOUND. */
  async dropDatabase(name: string): Promise<Position> {
    return await this.#threads.writer.call('dropDatabase', { name });
  }

  /**
   * Takes a SQLite file over as a database, while clients go on; the file itself is only read. Resolves to the position from which on everybody
   * sees it. Throws UNSUPPORTED, CHANGED, DIGEST_MISMATCH, NOT_FOUND, EXISTS unless it `replaces`, USAGE, NO_SPACE.
   */
  async importFile(path: string, name: string, options: ImportOptions = {}): Promise<Position> {
    const place = { path: resolve(path), name, directory: this.directory };
    return await importFile(this.#threads.writer, place, options, this.#ended.signal);
  }

  /** What became of the transaction with an idempotency key. */
  async receipt(key: string): Promise<ReceiptState> {
    return await this.#threads.writer.call('receipt', { key });
  }

  /**
   * Holds all databases at one position, to be sent or written to files while writers go on. To be disposed of. Throws LIMIT, BUSY.
   */
  async snapshot(): Promise<NodeSnapshot> {
    return await this.#threads.snapshot();
  }

  /** Makes a backup now, where `backupTo` says. Throws USAGE where it says nothing; NO_SPACE, NO_PERMISSION, HISTORY_LOST, DIGEST_MISMATCH. */
  async backup(): Promise<FoundBackup> {
    if (this.#backups === undefined) {
      throw new BatonError('USAGE', 'nothing says where backups go', {
        hint: 'start the node with backupTo (--backup-to)',
      });
    }
    return await this.#backups.run();
  }

  /** Begins with backups, and tells what the directory was restored from. Called once, by `openNode`. */
  async beginBackups(settings: BackupSettings, restored: Restored | undefined): Promise<void> {
    const { writer } = this.#threads;
    const { logId } = await writer.call('status', null);
    this.#restored = restored;
    this.#backups = new BackupSchedule(settings, logId, {
      take: () => this.snapshot(),
      // Who cannot be told any more trims nothing either.
      onNewest: (position) => void writer.call('backedUp', position).catch(() => undefined),
    });
  }

  /** Folds the log into the databases' files, as far as readers allow. Resolves to the position through which they hold everything. */
  async checkpoint(): Promise<Position> {
    return await this.#threads.writer.call('checkpoint', null);
  }

  async status(): Promise<NodeStatus & ReplicationStatus> {
    await this.#replacing;
    const status = await this.#threads.writer.call('status', null);
    const backups = this.#backups === undefined ? {} : { backups: this.#backups.status };
    const restored = this.#restored === undefined ? {} : { restored: this.#restored };
    return { ...status, ...backups, ...restored, ...this.#replication.status() };
  }

  /** How it stands to the node that it follows, at any moment; `status` tells it, too. Undefined: it follows nobody. */
  get leader(): ReplicationStatus['leader'] {
    return this.#replication.status().leader;
  }

  /** Registers levels of this node as `baton_sqlite_…`, to be served with a server's own: the same registry is one of its options. */
  registerMetrics(registry: Registry): void {
    registerNodeMetrics(registry, () => this.status());
  }

  /** Ends in order; databases are ordinary files `NAME.db` afterwards. Open transactions are rolled back. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    try {
      for (const reader of this.#localReaders) reader[Symbol.dispose]();
      this.#ended.abort();
      await this.#backups?.[Symbol.asyncDispose]();
      await this.desk[Symbol.asyncDispose]();
      await this.#replication.stop();
      await this.#threads.close();
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }

  /** Everything that is open ends, and what the directory holds then is opened. */
  async #replace(change: () => void): Promise<void> {
    const replacing = this.#reopen(change);
    this.#replacing = replacing.catch(() => undefined);
    await replacing;
  }

  async #reopen(change: () => void): Promise<void> {
    for (const reader of this.#localReaders) reader[Symbol.dispose]();
    this.#localReaders.clear();
    this.#replication.feeds.endAll('this replica takes over a snapshot of its leader');
    await this.desk[Symbol.asyncDispose]();
    const { data } = this.#threads;
    await this.#threads.close();
    change();
    this.#databases.clear();
    this.#threads = await Threads.start(data);
  }

  #reader(): Threads['reader'] {
    this.#replication.expectReadable();
    return this.#threads.reader;
  }

  async #write(statements: readonly SqlStatement[], options: ExecuteOptions, isAtomic: boolean): Promise<RunReply> {
    const { name } = await this.#database(options.database);
    const request = this.#request(statements, { ...options, database: name }, isAtomic);
    return await this.#threads.writer.call('run', request);
  }

  #request(statements: readonly SqlStatement[], options: ExecuteOptions, isAtomic: boolean): RunRequest {
    const { database = 'main', key } = options;
    return { ...this.#limits(options), database, statements, isAtomic, ...(key === undefined ? {} : { key }) };
  }

  #limits({ timeoutMs, rowsMax, numbers }: ExecuteOptions): Pick<RunRequest, 'timeoutMs' | 'rowsMax' | 'numbers'> {
    return {
      timeoutMs: timeoutMs ?? this.#settings.statementMsMax,
      rowsMax: rowsMax ?? this.#settings.rowsMax,
      numbers: numbers ?? 'plain',
    };
  }

  /** What is known of a database. Only `main` is made by being asked for. */
  async #database(name = 'main'): Promise<DatabaseInfo> {
    const { names } = this.#threads.index;
    if (names !== this.#names) this.#databases.clear();
    this.#names = names;
    const known = this.#databases.get(name) ?? this.#findDatabase(name);
    this.#databases.set(name, known);
    try {
      return await known;
    } catch (error) {
      this.#databases.delete(name);
      throw error;
    }
  }

  async #findDatabase(name: string): Promise<DatabaseInfo> {
    this.#replication.expectReadable();
    const { databases, role } = await this.status();
    const found = databases.find((database) => database.name === name);
    if (found !== undefined) return found;
    if (name === 'main' && role === 'leader') return await this.createDatabase(name);
    // The node that leads may have made it by now.
    if (role === 'standby') this.#threads.gate.expectOpen();
    throw new BatonError('NOT_FOUND', `there is no database ${name}`, { hint: 'create it first' });
  }

  async #waitFor(position: Position): Promise<void> {
    if (await this.#threads.index.waitFor(position.index, this.#settings.positionMsMax)) return;
    throw new BatonError(
      'TIMED_OUT',
      `position ${formatPosition(position)} was waited for ${this.#settings.positionMsMax} ms; this node is at ${formatPosition(this.position)}`,
      { retryable: true, hint: 'read elsewhere, or raise positionMsMax' },
    );
  }
}
