// Numbers of SQLite's C interface, as far as they are used here: https://www.sqlite.org/c3ref/constlist.html

/** Result codes. */
export const results = {
  OK: 0,
  ERROR: 1,
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  NOMEM: 7,
  READONLY: 8,
  INTERRUPT: 9,
  IOERR: 10,
  CORRUPT: 11,
  NOTFOUND: 12,
  FULL: 13,
  CANTOPEN: 14,
  SCHEMA: 17,
  TOOBIG: 18,
  CONSTRAINT: 19,
  MISMATCH: 20,
  MISUSE: 21,
  AUTH: 23,
  RANGE: 25,
  NOTADB: 26,
  ROW: 100,
  DONE: 101,
  BUSY_SNAPSHOT: 517,
  IOERR_SHORT_READ: 522,
} as const;

/** Flags of sqlite3_open_v2 and of xOpen. */
export const openFlags = {
  READONLY: 0x1,
  READWRITE: 0x2,
  CREATE: 0x4,
  MAIN_DB: 0x100,
  NOMUTEX: 0x8000,
  EXRESCODE: 0x02000000,
} as const;

/** Levels of a file's lock. */
export const lockLevels = { NONE: 0, SHARED: 1, RESERVED: 2, PENDING: 3, EXCLUSIVE: 4 } as const;

/** Opcodes of xFileControl. */
export const fileControls = { PRAGMA: 14, COMMIT_PHASETWO: 22 } as const;

/** Actions that an authorizer is asked about. */
export const actions = { PRAGMA: 19, ATTACH: 24, DETACH: 25, FUNCTION: 31 } as const;

/** Answers of an authorizer. */
export const authorizations = { OK: 0, DENY: 1 } as const;

/** Fundamental types of a value. */
export const valueTypes = { INTEGER: 1, FLOAT: 2, TEXT: 3, BLOB: 4, NULL: 5 } as const;

/** Names of the primary result codes, by number. */
const primaryNames: Readonly<Record<number, string>> = {
  1: 'ERROR',
  2: 'INTERNAL',
  3: 'PERM',
  4: 'ABORT',
  5: 'BUSY',
  6: 'LOCKED',
  7: 'NOMEM',
  8: 'READONLY',
  9: 'INTERRUPT',
  10: 'IOERR',
  11: 'CORRUPT',
  12: 'NOTFOUND',
  13: 'FULL',
  14: 'CANTOPEN',
  15: 'PROTOCOL',
  16: 'EMPTY',
  17: 'SCHEMA',
  18: 'TOOBIG',
  19: 'CONSTRAINT',
  20: 'MISMATCH',
  21: 'MISUSE',
  22: 'NOLFS',
  23: 'AUTH',
  24: 'FORMAT',
  25: 'RANGE',
  26: 'NOTADB',
};

/** Names of the extended codes that programs compare with. */
const extendedNames: Readonly<Record<number, string>> = {
  275: 'CONSTRAINT_CHECK',
  531: 'CONSTRAINT_COMMITHOOK',
  787: 'CONSTRAINT_FOREIGNKEY',
  1043: 'CONSTRAINT_FUNCTION',
  1299: 'CONSTRAINT_NOTNULL',
  1555: 'CONSTRAINT_PRIMARYKEY',
  1811: 'CONSTRAINT_TRIGGER',
  2067: 'CONSTRAINT_UNIQUE',
  2323: 'CONSTRAINT_VTAB',
  2579: 'CONSTRAINT_ROWID',
  2835: 'CONSTRAINT_PINNED',
  3091: 'CONSTRAINT_DATATYPE',
  517: 'BUSY_SNAPSHOT',
};

/** The primary code's name, such as SQLITE_CONSTRAINT. */
export function codeName(code: number): string {
  return `SQLITE_${primaryNames[code & 0xff] ?? 'ERROR'}`;
}

/** The extended code's name where it has one that programs know, else the primary one's. */
export function extendedCodeName(code: number): string {
  const name = extendedNames[code];
  return name === undefined ? codeName(code) : `SQLITE_${name}`;
}
