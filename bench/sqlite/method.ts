/** What is measured. Methods of one workload do the same work and are compared with each other. */
export type Workload =
  | 'write-1'
  | 'write-16'
  | 'write-256'
  | 'batch-100'
  | 'point-read'
  | 'range-scan'
  | 'server-write'
  | 'server-read';

/** One way to do a workload. */
export type Method = {
  /** Unique within its workload. */
  readonly name: string;
  readonly title: string;
  readonly workload: Workload;
  /** Works until a time on the clock of performance.now(). Resolves to the operations (or rows) that were done. */
  readonly run: (endMs: number) => Promise<number> | number;
  /** Seconds of processor time that all processes of the method have used so far. */
  readonly cpuSeconds: () => Promise<number> | number;
};

/** A method's sample in one round. */
export type Sample = {
  readonly round: number;
  readonly workload: Workload;
  readonly method: string;
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
};

/** Rows of the table that is read, in each database. */
export const readRows = 200_000;
/** Rows of one range. */
export const rangeRows = 1000;

/** The tables: one that is written to, and one that is read. */
export const schema = [
  'CREATE TABLE written (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount REAL NOT NULL)',
  'CREATE TABLE read (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount REAL NOT NULL)',
] as const;

/** Fills the table that is read. */
export const fill: string = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${readRows})
  INSERT INTO read SELECT i, 'name of row ' || i, i * 0.5 FROM n`;

export const statements = {
  insert: 'INSERT INTO written (name, amount) VALUES (?, ?)',
  point: 'SELECT id, name, amount FROM read WHERE id = ?',
  range: 'SELECT id, name, amount FROM read WHERE id >= ? AND id < ?',
} as const;

/** Processor time of this process, with all its threads. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Runs clients side by side; each does one operation after the other. Resolves to the sum. */
export async function clients(
  count: number,
  endMs: number,
  operation: (client: number) => Promise<unknown>,
): Promise<number> {
  let done = 0;
  const client = async (number: number): Promise<void> => {
    while (performance.now() < endMs) {
      await operation(number);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, number) => client(number)));
  return done;
}

/** Numbers of rows, spread evenly and the same in every run. */
export function* rowNumbers(): Generator<number, never> {
  for (let number = 1; ; number = (number * 48_271) % 2_147_483_647) yield (number % (readRows - rangeRows)) + 1;
}
