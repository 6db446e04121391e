import type { CallOptions, Step } from '../databases.ts';

// Where a replica does what a client asks for: here, what only reads the database; at the leader, everything else. Pure, by the statements' texts;
// a text that looks like a read and is none is noticed when it is prepared.

const reads = /^\s*(?:SELECT|VALUES|WITH)\b/i;
/** A text that begins so cannot write, whatever follows. */
const onlyReads = /^\s*(?:SELECT|VALUES)\b/i;
/** Functions that tell of the connection that asks, and the schema of its temporary tables. */
const ofConnection = /\b(?:last_insert_rowid|changes|total_changes)\s*\(|\b(?:sqlite_)?temp/i;
/** What lasts as long as the connection: its later statements need the same one. */
const bindsConnection = /\b(?:temp|temporary|pragma|attach)\b/i;

/** Whether steps may be read from what is here. */
export function isLocalRead(steps: readonly Step[], { transactionKey, level }: CallOptions): boolean {
  if (transactionKey !== undefined || level === 'leader') return false;
  return steps.every(({ statement: { sql } }) => reads.test(sql) && !ofConnection.test(sql));
}

/** The same, where it cannot be taken back once it has begun. */
export function isLocalCursor(steps: readonly Step[], options: CallOptions): boolean {
  return isLocalRead(steps, options) && steps.every(({ statement: { sql } }) => isOnlyRead(sql));
}

/** Whether a text is a read, whatever it is given. */
export function isOnlyRead(sql: string): boolean {
  return onlyReads.test(sql);
}

/** Whether a text leaves something in its connection that other statements may stand on. */
export function bindsToConnection(sql: string): boolean {
  return bindsConnection.test(sql);
}
