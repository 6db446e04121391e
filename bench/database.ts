import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type MariadbServer, startMariadb } from '@batondb/testbed/mariadb';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { Random } from './content.ts';
import { type DataSet, isComplete, markComplete } from './data.ts';

// What is backed up: a MariaDB server of our own, half of whose tables compress as tables do, half not at all.

/** Shares of one half, as in `large`. */
const shares = [8, 4, 3, 1] as const;
const shareSum = 16;
/** Enough for the tables to be made in a minute. */
const serverOptions = ['--innodb-buffer-pool-size=512M', '--innodb-log-file-size=256M'] as const;
const wordCount = 256;
const database = 'backup';

type Kind = { readonly name: string; readonly columns: string; readonly rowsAtOnce: number; readonly select: string };

/** A running server with its tables. Leaving its block ends it. */
export type Database = AsyncDisposable & { readonly data: DataSet };

/** Starts the server on its data below `directory`, which are made at the first time. Needs root. */
export async function startDatabase(directory: string, sizeBytes: number, seed: number): Promise<Database> {
  const parent = await makeDatabase(directory, sizeBytes, seed);
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.use(makeSandbox());
  const { socketPath } = stack.use(await start(sandbox, parent));
  const dataDirectory = dataDirectoryIn(parent);
  const data: DataSet = { name: database, parent: dataDirectory, path: join(dataDirectory, database), socketPath };
  const kept = stack.move();
  return { data, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Makes the data below `directory`, if it is not there yet. Returns the directory that holds the data directory. Needs root. */
export async function makeDatabase(directory: string, sizeBytes: number, seed: number): Promise<string> {
  const parent = join(directory, `${database}-${seed}-${sizeBytes}`);
  if (isComplete(parent)) return parent;
  rmSync(parent, { recursive: true, force: true });
  mkdirSync(parent, { recursive: true });
  await using sandbox = makeSandbox();
  await fill(sandbox, parent, sizeBytes, seed);
  markComplete(parent);
  return parent;
}

/** Makes the tables, and ends the server in order, so that a backup finds all pages in their files. */
async function fill(sandbox: Sandbox, parent: string, sizeBytes: number, seed: number): Promise<void> {
  await using server = await start(sandbox, parent);
  await server.sql(`CREATE DATABASE ${database}`);
  for (const kind of [rowsLikeOrders(seed), rowsOfNoise]) {
    for (const [index, share] of shares.entries()) {
      const bytes = Math.floor((sizeBytes / 2) * (share / shareSum));
      await fillTable(server, `${kind.name}${index}`, kind, bytes, seed + index);
    }
  }
  await server.stop();
}

async function fillTable(
  server: MariadbServer,
  table: string,
  { columns, rowsAtOnce, select }: Kind,
  bytes: number,
  seed: number,
): Promise<void> {
  const names = columns.replaceAll(/ [^,]*/g, '');
  const file = join(server.dataDirectory, database, `${table}.ibd`);
  await server.sql(`USE ${database}; CREATE TABLE ${table} (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, ${columns})`);
  for (let round = 1; statSync(file).size < bytes; round += 1) {
    await server.sql(
      `USE ${database}; SET sql_log_bin=0, rand_seed1=${seed * 65_537 + round}, rand_seed2=${seed + round * 257};
       INSERT INTO ${table} (${names}) SELECT ${select} FROM seq_1_to_${rowsAtOnce};`,
    );
  }
}

/** Numbers that count up and words that repeat. */
function rowsLikeOrders(seed: number): Kind {
  const random = new Random(seed);
  const letter = (): string => String.fromCharCode(97 + random.below(26));
  const words = Array.from(
    { length: wordCount },
    () => `'${Array.from({ length: 4 + random.below(9) }, letter).join('')}'`,
  );
  // Multiplying two numbers makes low indexes common, as in a language.
  const word = `ELT(1 + FLOOR(RAND() * RAND() * ${wordCount}), ${words.join()})`;
  const text = `CONCAT_WS(' ', ${Array.from({ length: 8 }, () => word).join()})`;
  return {
    name: 'orders',
    columns: 'placed DATETIME,customer INT UNSIGNED,note VARCHAR(120)',
    rowsAtOnce: 20_000,
    select: `'2024-01-01' + INTERVAL seq * 7 SECOND, FLOOR(RAND() * 16777216), ${text}`,
  };
}

/** What was compressed or encrypted before. */
const rowsOfNoise: Kind = {
  name: 'blobs',
  columns: 'content VARBINARY(1024)',
  rowsAtOnce: 2_000,
  select: 'RANDOM_BYTES(1024)',
};

async function start(sandbox: Sandbox, parent: string): Promise<MariadbServer> {
  return await startMariadb(sandbox, { name: 'server', dataDirectory: dataDirectoryIn(parent), more: serverOptions });
}

/** The data directory of a server whose data are below `parent`. */
export function dataDirectoryIn(parent: string): string {
  return join(parent, 'data');
}
