import type { SourceSession } from './source.ts';
import type { Position, StreamEvent } from './stream.ts';
import type { Table } from './table.ts';

/**
 * Tables whose rows are newer than the stream: transactions that their dumps have are skipped for them, and until all have been passed the sink is open (Y4).
 */
export class CatchUp {
  readonly #session: Pick<SourceSession, 'isBefore'>;
  /** By `Table.id`, where each was dumped. */
  readonly #ahead: Map<string, Position>;
  #commitsAt: Position;
  /** By `Table.id`: whether its rows have what the present transaction does. */
  readonly #skips = new Map<string, boolean>();

  constructor(session: Pick<SourceSession, 'isBefore'>, after: Position, dumpedAt: ReadonlyMap<string, Position>) {
    this.#session = session;
    this.#commitsAt = after;
    this.#ahead = new Map([...dumpedAt].filter(([, position]) => session.isBefore(after, position)));
  }

  get isDone(): boolean {
    return this.#ahead.size === 0;
  }

  /** The event as it concerns the sink; undefined: not at all. */
  take(event: StreamEvent): StreamEvent | undefined {
    if (this.isDone) return event;
    switch (event.kind) {
      case 'begin':
        this.#commitsAt = event.commitsAt;
        this.#skips.clear();
        return event;
      case 'commit':
      case 'reached':
        this.#pass(event.position);
        return event;
      case 'truncate': {
        const tables = event.tables.filter((table) => !this.#has(table));
        return tables.length === 0 ? undefined : { ...event, tables };
      }
      default:
        return this.#has(event.table) ? undefined : event;
    }
  }

  /** The rows of this table have what this transaction does. */
  #has({ id }: Table): boolean {
    const known = this.#skips.get(id);
    if (known !== undefined) return known;
    const dumpedAt = this.#ahead.get(id);
    const has = dumpedAt !== undefined && this.#session.isBefore(this.#commitsAt, dumpedAt);
    this.#skips.set(id, has);
    return has;
  }

  #pass(position: Position): void {
    for (const [id, dumpedAt] of this.#ahead) {
      if (!this.#session.isBefore(position, dumpedAt)) this.#ahead.delete(id);
    }
  }
}
