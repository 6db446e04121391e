import { type BatonError, toErrorRecord } from '@batondb/core/errors';
import type { LoadResult } from './sink.ts';
import type { TableSnapshot } from './source.ts';
import type { SyncEvent, SyncPhase, SyncStatus, TableProgress } from './status.ts';
import type { Position, StreamEvent } from './stream.ts';
import { nameOf } from './table.ts';

type Counts = { -readonly [Name in keyof SyncStatus['counts']]: number };
type InFlight = { readonly position: Position; readonly committedAtMs: number | undefined; readonly takenAtMs: number };

/** Keeps count of a sync, and tells what happens. */
export class Tally {
  readonly #tell: (event: SyncEvent) => void;
  readonly #counts: Counts = {
    transactions: 0,
    inserts: 0,
    updates: 0,
    deletes: 0,
    truncates: 0,
    dumpedRows: 0,
    retries: 0,
    divergences: 0,
  };
  readonly #tables = new Map<string, { rows: number; estimatedRows: number; isDone: boolean }>();
  readonly #resyncing = new Set<string>();
  /** Commits that the sink was given and has not yet told of, oldest first. */
  #inFlight: InFlight[] = [];
  #phase: SyncPhase = 'connecting';
  #sinceMs = Date.now();
  #position: Position | undefined;
  #isOpen = false;
  #delayMs: number | undefined;
  #lastError: SyncStatus['lastError'];
  #durables = 0;

  constructor(tell: (event: SyncEvent) => void) {
    this.#tell = tell;
  }

  /** How often something has become durable: whether a try came to anything. */
  get durables(): number {
    return this.#durables;
  }

  tell(event: SyncEvent): void {
    this.#tell(event);
  }

  enter(phase: SyncPhase): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#sinceMs = Date.now();
  }

  waiting(owner: string): void {
    this.enter('waiting');
    this.#tell({ type: 'waiting', owner });
  }

  retrying(error: BatonError, inMs: number): void {
    this.#counts.retries++;
    this.#lastError = toErrorRecord(error);
    this.enter('retrying');
    this.#tell({ type: 'retrying', error: this.#lastError, inMs });
  }

  diverged(reason: string, position: Position): void {
    this.#counts.divergences++;
    this.#tell({ type: 'diverged', reason, position });
  }

  dumping(tables: readonly TableSnapshot[], position: Position): void {
    this.enter('dumping');
    this.#tables.clear();
    for (const { table, estimatedRows } of tables) {
      this.#tables.set(nameOf(table), { rows: 0, estimatedRows, isDone: false });
    }
    this.#tell({ type: 'dumping', tables: [...this.#tables.keys()], position });
  }

  dumpedRows(table: string, rows: number): void {
    this.#counts.dumpedRows += rows;
    this.#tables.get(table)!.rows += rows;
  }

  dumpedTable(table: string, { rows, written, deleted }: LoadResult): void {
    this.#tables.get(table)!.isDone = true;
    this.#durables++;
    this.#tell({ type: 'dumped', table, rows, written, deleted });
  }

  streaming(position: Position): void {
    this.enter('streaming');
    this.#inFlight = [];
    this.#position = position;
    this.#tell({ type: 'streaming', position });
  }

  /** An event is on its way to the sink. */
  take(event: StreamEvent): void {
    switch (event.kind) {
      case 'insert':
        this.#counts.inserts++;
        break;
      case 'update':
        this.#counts.updates++;
        break;
      case 'delete':
        this.#counts.deletes++;
        break;
      case 'truncate':
        this.#counts.truncates++;
        break;
      case 'resync':
        this.#resync(nameOf(event.table), event.state);
        break;
      case 'reshape':
        this.#tell({ type: 'reshaped', table: nameOf(event.table) });
        break;
      case 'drop':
        this.#tell({ type: 'dropped', table: nameOf(event.table) });
        break;
      case 'commit':
      case 'reached':
        this.#commit(event);
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
    const { committedAtMs } = this.#inFlight[index]!;
    if (committedAtMs !== undefined) this.#delayMs = Math.max(0, Date.now() - committedAtMs);
    this.#inFlight.splice(0, index + 1);
  }

  status(places: Pick<SyncStatus, 'source' | 'sink' | 'sourceStatus'>, isPaused: boolean): SyncStatus {
    const [oldest] = this.#inFlight;
    return {
      ...places,
      phase: isPaused && this.#phase === 'streaming' ? 'paused' : this.#phase,
      sinceMs: this.#sinceMs,
      position: this.#position,
      isOpen: this.#isOpen,
      delayMs: this.#delayMs,
      behindSinceMs: oldest === undefined ? undefined : (oldest.committedAtMs ?? oldest.takenAtMs),
      counts: { ...this.#counts },
      tables: [...this.#tables].map(([table, progress]): TableProgress => ({ table, ...progress })),
      resyncing: [...this.#resyncing],
      lastError: this.#lastError,
    };
  }

  #resync(table: string, state: 'begin' | 'end'): void {
    if (state === 'begin') this.#resyncing.add(table);
    else this.#resyncing.delete(table);
    this.#tell({ type: 'resync', table, state });
  }

  #commit(event: Extract<StreamEvent, { kind: 'commit' | 'reached' }>): void {
    const { position, isOpen = false } = event;
    if (event.kind === 'commit') this.#counts.transactions++;
    const committedAtMs = event.kind === 'commit' ? event.committedAtMs : undefined;
    this.#inFlight.push({ position, committedAtMs, takenAtMs: Date.now() });
    if (this.#isOpen && !isOpen) this.#tell({ type: 'consistent', position });
    this.#isOpen = isOpen;
  }
}
