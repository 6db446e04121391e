import { formatDuration } from '@batondb/core/text/format';
import type { SyncStatus, TableProgress } from '@batondb/sync/status';
import type { Output } from '../output.ts';
import { Screen } from '../render/screen.ts';
import { fit, pad, printableText } from '../render/style.ts';
import { restoreCursor } from '../render/terminal.ts';

// How far a dump has come: a line for every table at work, rewritten in place at a terminal; elsewhere one line now and then.

/** How often a person's lines change. */
const redrawMs = 250;
/** A log wants to know that it goes on, not every second of it. */
const logMs = 10_000;
const nameWidth = 32;

/** How a dump is told of. */
export type ProgressPlace = {
  readonly status: () => SyncStatus;
  /** The terminal, where there is one to rewrite. */
  readonly terminal: Output | undefined;
  /** Takes what is told elsewhere. */
  readonly tell: (status: SyncStatus, line: string) => void;
};

/** Shows the dumps of a sync for as long as it is not disposed. Lines of others go through `above`. */
export class DumpProgress implements Disposable {
  readonly #place: ProgressPlace;
  readonly #screen = new Screen();
  readonly #timer: NodeJS.Timeout;

  constructor(place: ProgressPlace) {
    this.#place = place;
    const look = (): void => this.#look();
    this.#timer = setInterval(look, place.terminal === undefined ? logMs : redrawMs).unref();
    if (place.terminal !== undefined) process.on('exit', restoreCursor);
  }

  /** Writes lines above what is rewritten. */
  above(text: string): void {
    const { terminal } = this.#place;
    if (terminal !== undefined) void terminal.write(this.#screen.draw([text.replace(/\n$/, '')], this.#block()));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#place.terminal === undefined) return;
    void this.#place.terminal.write(this.#screen.end());
    process.off('exit', restoreCursor);
  }

  #look(): void {
    const { status, terminal, tell } = this.#place;
    const now = status();
    if (terminal !== undefined) void terminal.write(this.#screen.draw([], this.#block()));
    else if (now.phase === 'dumping') tell(now, totalLine(now, Date.now()));
  }

  #block(): readonly string[] {
    const { status, terminal } = this.#place;
    const now = status();
    if (now.phase !== 'dumping' || terminal === undefined) return [];
    const { columns, rows } = terminal.size;
    return dumpLines(now, Date.now(), rows - 2).map((line) => fit(line, columns - 1));
  }
}

/** A line for every table at work, and one for all. Pure. */
export function dumpLines(status: SyncStatus, nowMs: number, rowsMax: number): string[] {
  const working = status.tables.filter(({ state }) => state === 'dumping');
  return [...working.slice(0, Math.max(0, rowsMax - 1)).map(tableLine), totalLine(status, nowMs)];
}

function tableLine({ table, rows, estimatedRows }: TableProgress): string {
  const of = estimatedRows ? ` of about ${integer(estimatedRows)} (${percent(rows, estimatedRows)} %)` : '';
  return `  ${pad(fit(printableText(table), nameWidth), nameWidth)} ${integer(rows)}${of} rows`;
}

/** `dumping: 3 of 25 tables, 1,234,567 of about 4,000,000 rows, 410,000 rows/s, ETA 7 s` */
export function totalLine({ tables, phaseAtMs }: SyncStatus, nowMs: number): string {
  const sum = (of: (table: TableProgress) => number): number => tables.reduce((total, table) => total + of(table), 0);
  const done = tables.filter(({ state }) => state === 'current').length;
  const rows = sum((table) => table.rows);
  // A guess that was too low is no more than what was read of it; a table that is done has what it has.
  const estimated = sum(({ state, rows: read, estimatedRows = 0 }) =>
    state === 'current' ? read : Math.max(read, estimatedRows),
  );
  // Of the whole dump: tables differ, and the rate of the last seconds would let the end jump about.
  const rate = (rows / Math.max(1, nowMs - phaseAtMs)) * 1000;
  const eta = rate > 0 && estimated > rows ? [`ETA ${formatDuration(((estimated - rows) / rate) * 1000)}`] : [];
  return [
    `dumping: ${done} of ${tables.length} tables`,
    `${integer(rows)} of about ${integer(estimated)} rows`,
    `${integer(rate)} rows/s`,
    ...eta,
  ].join(', ');
}

/** Never 100 while rows are still read. */
function percent(rows: number, estimatedRows: number): number {
  return Math.min(99, Math.floor((rows / Math.max(1, estimatedRows)) * 100));
}

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
