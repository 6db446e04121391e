import { type BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { formatCount } from '@batondb/core/text/format';
import { Rate } from './rate.ts';
import type { LoadResult, SinkState } from './sink.ts';
import type { SourceStatus, TableSnapshot } from './source.ts';
import type { Divergence, SyncCounts, SyncEvent, SyncPhase, SyncStatus, TableProgress } from './status.ts';
import type { Commit, Position, Reached, StreamEvent } from './stream.ts';
import { nameOf, type Table } from './table.ts';

type InFlight = {
  readonly kind: 'commit' | 'reached';
  readonly position: Position;
  readonly committedAtMs: number | undefined;
  readonly takenAtMs: number;
};
/** A failure that goes on is worth a line now and then. */
const repeatMs = 60_000;

type TableState = { -readonly [Name in Exclude<keyof TableProgress, 'table'>]: TableProgress[Name] };

/** Keeps count of a sync, and tells what happens. */
export class Tally {
  readonly #tell: (event: SyncEvent) => void;
  readonly #counts: { -readonly [Name in keyof SyncCounts]: number } = {
    transactions: 0,
    inserts: 0,
    updates: 0,
    deletes: 0,
    truncates: 0,
    reshapes: 0,
    dumpedRows: 0,
    resyncedRows: 0,
    retries: 0,
    recordedRows: 0,
    repairedKeys: 0,
  };
  readonly #startedAtMs = Date.now();
  readonly #tables = new Map<string, TableState>();
  /** Ids of tables that are being read anew. */
  readonly #resyncing = new Set<string>();
  readonly #rows = new Rate();
  readonly #transactions = new Rate();
  /** Positions that the sink was given and has not told of, oldest first. */
  #inFlight: InFlight[] = [];
  #phase: SyncPhase = 'connecting';
  #phaseAtMs = Date.now();
  #node: string | undefined;
  #owner: string | undefined;
  #position: Position | undefined;
  #committedAtMs: number | undefined;
  #isOpen = false;
  #source: SourceStatus | undefined;
  #lastError: (ErrorRecord & { readonly atMs: number }) | undefined;
  #retryAtMs: number | undefined;
  /** The failure that people were told of last. */
  #toldRetry: { readonly code: string; readonly message: string; readonly atMs: number } | undefined;
  #lastDivergence: Divergence | undefined;
  #dumpedAtMs = Date.now();
  #durables = 0;

  constructor(tell: (event: SyncEvent) => void) {
    this.#tell = tell;
  }

  /** How often something has become durable: whether a try came to anything. */
  get durables(): number {
    return this.#durables;
  }

  connecting(): void {
    this.#node = undefined;
    this.#source = undefined;
    this.#enter('connecting', 'source and sink');
  }

  waiting(owner: string): void {
    this.#owner = owner;
    this.#enter('waiting', owner);
  }

  /** The sink is ours, and the source answers. */
  connected(node: string, state: SinkState): void {
    this.#owner = undefined;
    this.#retryAtMs = undefined;
    this.#node = node;
    this.#position = state.position;
    this.#isOpen = state.isOpen;
    for (const record of state.tables.values()) this.#table(nameOf(record));
    this.#tell({ kind: 'connected', node });
  }

  saw(status: SourceStatus): void {
    this.#source = status;
  }

  retrying(error: BatonError, inMs: number): void {
    this.#counts.retries++;
    const { code, message, atMs = 0 } = this.#toldRetry ?? {};
    const isRepeated = code === error.code && message === error.message && Date.now() - atMs < repeatMs;
    if (!isRepeated) this.#toldRetry = { code: error.code, message: error.message, atMs: Date.now() };
    this.#failed(error);
    this.#retryAtMs = Date.now() + inMs;
    this.#enter('retrying', error.message);
    this.#tell({ kind: 'retry', error: toErrorRecord(error), inMs, isRepeated });
  }

  ended(error?: unknown): void {
    if (error !== undefined) this.#failed(error);
    this.#enter('ended', error === undefined ? 'done' : toErrorRecord(error).message);
  }

  historyLost(reason: string, position: Position): void {
    this.#tell({ kind: 'history-lost', position, reason });
  }

  diverged(reason: string, position: Position): void {
    this.#lastDivergence = { atMs: Date.now(), position, reason };
    this.#tell({ kind: 'diverged', position, reason });
  }

  repairing(keys: number): void {
    this.#counts.repairedKeys += keys;
    this.#tell({ kind: 'repairing', keys });
  }

  recorded(table: string, error: ErrorRecord): void {
    this.#counts.recordedRows++;
    this.#tell({ kind: 'row-recorded', table, error });
  }

  /** `name` is the table's name at the sink. */
  dumping(tables: readonly { readonly name: string; readonly snapshot: TableSnapshot }[], position: Position): void {
    this.#dumpedAtMs = Date.now();
    for (const { name, snapshot } of tables) {
      this.#tables.set(name, { state: 'waiting', rows: 0, estimatedRows: snapshot.estimatedRows });
    }
    this.#enter('dumping', `${formatCount(tables.length, 'table')} at ${position}`);
  }

  dumpedRows(table: string, rows: number): void {
    const progress = this.#table(table);
    progress.state = 'dumping';
    progress.rows += rows;
    this.#counts.dumpedRows += rows;
    this.#rows.add(rows, Date.now());
  }

  dumpedTable(table: string, { rows }: LoadResult): void {
    this.#table(table).state = 'current';
    this.#durables++;
    this.#tell({ kind: 'table-dumped', table, rows, durationMs: Date.now() - this.#dumpedAtMs });
  }

  streaming(position: Position): void {
    this.#inFlight = [];
    this.#resyncing.clear();
    this.#position = position;
    this.#enter('streaming', `after ${position}`);
  }

  /** An event is on its way to the sink. */
  take(event: StreamEvent): void {
    const counts = this.#counts;
    switch (event.kind) {
      case 'insert':
        counts.inserts++;
        if (this.#resyncing.size > 0) this.#insertedInto(event.table);
        break;
      case 'update':
        counts.updates++;
        break;
      case 'delete':
        counts.deletes++;
        break;
      case 'truncate':
        counts.truncates++;
        break;
      case 'resync':
        this.#resync(event.table, event.state);
        break;
      case 'reshape':
        counts.reshapes++;
        this.#table(nameOf(event.table));
        this.#tell({ kind: 'table-reshaped', table: nameOf(event.table) });
        break;
      case 'drop':
        counts.reshapes++;
        this.#tables.delete(nameOf(event.table));
        this.#tell({ kind: 'table-dropped', table: nameOf(event.table) });
        break;
      case 'commit':
        counts.transactions++;
        this.#given(event, event.committedAtMs);
        break;
      case 'reached':
        this.#given(event, undefined);
        break;
      default:
    }
  }

  /** The sink holds everything up to here. */
  durable(position: Position): void {
    this.#durables++;
    this.#position = position;
    this.#lastError = undefined;
    const index = this.#inFlight.findIndex((commit) => commit.position === position);
    if (index < 0) return;
    const commits = this.#inFlight.splice(0, index + 1).filter(({ kind }) => kind === 'commit');
    this.#committedAtMs = commits.at(-1)?.committedAtMs ?? this.#committedAtMs;
    this.#transactions.add(commits.length, Date.now());
  }

  /** `isPaused`: nothing is given to the sink, since somebody asked for it. */
  status(places: Pick<SyncStatus, 'name' | 'source' | 'sink'>, isPaused: boolean): SyncStatus {
    const nowMs = Date.now();
    return {
      ...places,
      phase: isPaused && this.#phase === 'streaming' ? 'paused' : this.#phase,
      phaseAtMs: this.#phaseAtMs,
      startedAtMs: this.#startedAtMs,
      node: this.#node,
      owner: this.#owner,
      position: this.#position,
      committedAtMs: this.#committedAtMs,
      isOpen: this.#isOpen,
      newest: this.#source?.newest,
      lagBytes: this.#source?.lagBytes,
      lagSeconds: this.#lagSeconds(nowMs),
      retainedBytes: this.#source?.retainedBytes,
      remainingBytes: this.#source?.remainingBytes,
      tables: [...this.#tables].map(([table, progress]) => ({ table, ...progress })),
      counts: { ...this.#counts },
      rowsPerSecond: this.#rows.perSecond(nowMs),
      transactionsPerSecond: this.#transactions.perSecond(nowMs),
      lastError: this.#lastError,
      retryAtMs: this.#retryAtMs,
      lastDivergence: this.#lastDivergence,
    };
  }

  /** Of a stream that is not read nobody knows how old the next transaction is: then it is as old as the newest that we have. */
  #lagSeconds(nowMs: number): number | undefined {
    const oldest = this.#inFlight.find(({ kind }) => kind === 'commit');
    if (oldest !== undefined) return Math.max(0, nowMs - (oldest.committedAtMs ?? oldest.takenAtMs)) / 1000;
    return this.#phase === 'streaming' ? 0 : undefined;
  }

  #given({ kind, position, isOpen = false }: Commit | Reached, committedAtMs: number | undefined): void {
    this.#inFlight.push({ kind, position, committedAtMs, takenAtMs: Date.now() });
    this.#isOpen = isOpen;
  }

  #enter(phase: SyncPhase, detail: string): void {
    if (phase !== this.#phase) this.#phaseAtMs = Date.now();
    this.#phase = phase;
    this.#tell({ kind: 'phase', phase, detail });
  }

  #failed(error: unknown): void {
    this.#lastError = { ...toErrorRecord(error), atMs: Date.now() };
  }

  #table(name: string): TableState {
    let state = this.#tables.get(name);
    if (state === undefined) {
      state = { state: 'current', rows: 0, estimatedRows: undefined };
      this.#tables.set(name, state);
    }
    return state;
  }

  #insertedInto(table: Table): void {
    if (!this.#resyncing.has(table.id)) return;
    this.#table(nameOf(table)).rows++;
    this.#counts.resyncedRows++;
  }

  #resync(table: Table, state: 'begin' | 'end'): void {
    const name = nameOf(table);
    if (state === 'begin') {
      this.#resyncing.add(table.id);
      this.#tables.set(name, { state: 'resyncing', rows: 0, estimatedRows: undefined });
      return;
    }
    this.#resyncing.delete(table.id);
    const progress = this.#table(name);
    progress.state = 'current';
    this.#tell({ kind: 'table-resynced', table: name, rows: progress.rows });
  }
}
