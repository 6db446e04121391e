import { BatonError } from '@batondb/core/errors';
import type { LogEntry } from '../log/log.ts';
import { type Command, type DatabaseId, decodeCommands, type FramesCommand } from '../machine/command.ts';
import type { DatabaseState, StateRecord } from '../machine/state-record.ts';
import { emptyState } from '../machine/store.ts';

// What a store would make of entries, without its pages: whether each follows from the state before it, and what databases there are in the
// end. Pure.

/** A database at some position. */
export type DatabaseOutlook = {
  readonly id: DatabaseId;
  readonly name: string;
  readonly pageBytes: number;
  readonly pageCount: number;
  /** Number of its last transaction. */
  readonly sequence: number;
};

type Followed = { readonly name: string; readonly pageBytes: number; state: DatabaseState };

/** Follows entries from a checkpoint on. */
export class Replay {
  readonly #databases = new Map<DatabaseId, Followed>();

  constructor(record: StateRecord) {
    for (const { id, name, pageBytes, pageCount, checksum, sequence } of record.databases)
      this.#databases.set(id, { name, pageBytes, state: { pageCount, checksum, sequence } });
  }

  get databases(): DatabaseOutlook[] {
    return [...this.#databases].map(
      ([
        id,
        {
          name,
          pageBytes,
          state: { pageCount, sequence },
        },
      ]) => {
        return { id, name, pageBytes, pageCount, sequence };
      },
    );
  }

  /** Takes the next entry. Returns why it cannot be applied; then nothing of it was taken. */
  take({ index, payload }: LogEntry): string | undefined {
    let commands: Command[];
    try {
      commands = decodeCommands(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      return `entry ${index}: ${error.message}`;
    }
    for (const command of commands) {
      if (command.kind === 'frames' && !this.#follows(command, commands))
        return `entry ${index} does not continue database ${this.#databases.get(command.database)?.name ?? command.database} as the entries before it leave it`;
    }
    for (const command of commands) this.#apply(command);
    return undefined;
  }

  #follows({ database, sequence, commit }: FramesCommand, commands: readonly Command[]): boolean {
    const known = this.#databases.get(database);
    if (known === undefined && !commands.some((one) => one.kind === 'open' && one.database === database)) return false;
    if (commit === undefined) return true;
    const state = known?.state ?? emptyState();
    return commit.before === state.checksum && sequence === state.sequence + 1;
  }

  #apply(command: Command): void {
    switch (command.kind) {
      case 'open': {
        const { database, name, pageBytes } = command;
        if (!this.#databases.has(database)) this.#databases.set(database, { name, pageBytes, state: emptyState() });
        return;
      }
      case 'drop':
        this.#databases.delete(command.database);
        return;
      case 'frames': {
        const known = this.#databases.get(command.database);
        if (known === undefined || command.commit === undefined) return;
        const { ends, pageCount, after } = command.commit;
        known.state = { pageCount, checksum: after, sequence: ends.at(-1)?.sequence ?? command.sequence };
        return;
      }
      default:
    }
  }
}
