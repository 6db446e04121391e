import type { Position } from '../stream.ts';

// What a comparison says. Plain values, which are JSON as they are.

/** A column whose value is not what it has to be; both as JSON text, and cut when they are long. */
export type ColumnDifference = {
  readonly column: string;
  readonly expected: string;
  readonly found: string;
};

export type RowDifference = {
  /** By the name that it has at the sink. */
  readonly table: string;
  /** `missing` in the sink, `surplus` there, or `different`. */
  readonly kind: 'missing' | 'surplus' | 'different';
  /** As the sink tells its rows apart: a key of etcd, or an array of values. */
  readonly key: string;
  /** Of `different`. Empty: what the sink has cannot be read as a row. */
  readonly columns: readonly ColumnDifference[];
};

export type TableReport = {
  readonly table: string;
  /** Rows that the source has. */
  readonly rows: number;
  readonly missing: number;
  readonly surplus: number;
  readonly different: number;
};

/** A table of which nothing is known, and why. */
export type SkippedTable = { readonly table: string; readonly reason: string };

export type VerifyReport = {
  /** Where both were compared. */
  readonly position: Position;
  readonly tables: readonly TableReport[];
  readonly skipped: readonly SkippedTable[];
  /** The first of all differences of each table. */
  readonly differences: readonly RowDifference[];
};

/** True when no difference was found, whether or not all tables could be compared. */
export function isSame({ tables }: VerifyReport): boolean {
  return tables.every(({ missing, surplus, different }) => missing + surplus + different === 0);
}
