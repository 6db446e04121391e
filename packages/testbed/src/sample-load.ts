// Clients that write into the sample database at once, and remember what the server has acknowledged.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Random } from './random.ts';
import { type OperationLimits, type Statement, sampleTransaction } from './sample-operations.ts';

/** How a load is; every field but `urls` may be left out. */
export type SampleLoadOptions = {
  /** Connection strings with passwords. Each client takes the first that takes writes, and looks again when it is lost. */
  readonly urls: readonly string[];
  /** Repeats what each client does; how they come between each other, it cannot. Default: 1. */
  readonly seed?: number;
  /** Clients. Default: 4. */
  readonly clients?: number;
  /** Each client waits so long after a transaction. Default: 0. */
  readonly pauseMs?: number;
  /** Rows of the rare large transaction, at most. Default: 2,000. */
  readonly largeRows?: number;
};

/** How it went so far. */
export type LoadCounts = { readonly committed: number; readonly rolledBack: number; readonly unknown: number };

const connectMsMax = 3000;
const retryMs = 50;
const firstTransactions = 5;
/** Part of transactions that are rolled back at their end. */
const rollbackShare = 0.1;

/** What one client meets with in its sleep: others change the same rows, a key is taken, a parent is gone. */
const ordinaryErrors = ['40001', '40P01', '23505', '23503', '23514', '55P03'];
/** The server goes away or is a standby now; or the connection is gone, which has no code of SQL. */
const lostErrors = ['25006', '57P01', '57P02', '57P03', '08006', '08003', '08001', '53300', 'XX000'];

/** A running load. Each transaction inserts a row `(worker, number)` into `public.ledger`; that is how it is known. */
export class SampleLoad implements AsyncDisposable {
  /** `WORKER/NUMBER` of transactions whose commit was acknowledged: each must be in the database, unless a failover lost it. */
  readonly acknowledged: Set<string> = new Set();
  /** Those whose connection was lost while they were being committed: they are there, or not. */
  readonly unknown: Set<string> = new Set();
  readonly #options: Required<SampleLoadOptions>;
  readonly #stopping = new AbortController();
  readonly #work: Promise<void>;
  #rolledBack = 0;

  constructor(options: Required<SampleLoadOptions>) {
    this.#options = options;
    const workers = Array.from({ length: options.clients }, (_, worker) => this.#client(worker));
    this.#work = Promise.all(workers).then(() => undefined);
    // Told by stop(), which may be called much later.
    this.#work.catch(() => this.#stopping.abort());
  }

  get counts(): LoadCounts {
    return { committed: this.acknowledged.size, rolledBack: this.#rolledBack, unknown: this.unknown.size };
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Stops each client after its transaction. Throws what a client could not go on after. */
  async stop(): Promise<LoadCounts> {
    this.#stopping.abort();
    await this.#work;
    return this.counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#work.catch(() => undefined);
  }

  async #client(worker: number): Promise<void> {
    const random = new Random(this.#options.seed).fork(`client ${worker}`);
    let client: pg.Client | undefined;
    try {
      for (let number = 1; !this.#stopping.signal.aborted; number++) {
        client ??= await this.#connect();
        if (client === undefined) return;
        const outcome = await this.#transact(client, random, worker, number);
        if (outcome === 'lost') {
          await close(client);
          client = undefined;
        }
        if (this.#options.pauseMs > 0) await sleep(this.#options.pauseMs);
      }
    } finally {
      if (client !== undefined) await close(client);
    }
  }

  /** Undefined when it is stopped before a server takes writes. */
  async #connect(): Promise<pg.Client | undefined> {
    for (let attempt = 0; !this.#stopping.signal.aborted; attempt++) {
      const { urls } = this.#options;
      const connectionString = urls[attempt % urls.length] as string;
      const client = new pg.Client({ connectionString, connectionTimeoutMillis: connectMsMax });
      // What was lost is told by the query that it was lost in.
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query<{ down: boolean }>('SELECT pg_is_in_recovery() AS down');
        if (rows[0]?.down === false) return client;
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      await close(client);
      await sleep(retryMs);
    }
    return undefined;
  }

  async #transact(client: pg.Client, random: Random, worker: number, number: number): Promise<'ended' | 'lost'> {
    const name = `${worker}/${number}`;
    let isCommitting = false;
    try {
      const limits = await this.#limits(client);
      await client.query('BEGIN');
      await client.query('INSERT INTO ledger VALUES ($1, $2, $3)', [worker, number, name]);
      const statements = sampleTransaction(random, limits);
      for (const statement of statements) await execute(client, statement);
      if (random.fraction() < rollbackShare) return await this.#rollBack(client);
      isCommitting = true;
      await client.query('COMMIT');
      this.acknowledged.add(name);
      return 'ended';
    } catch (error) {
      if (isOrdinary(error)) return await this.#rollBack(client).catch((): 'lost' => 'lost');
      if (!isLost(error)) throw error;
      if (isCommitting) this.unknown.add(name);
      return 'lost';
    }
  }

  async #rollBack(client: pg.Client): Promise<'ended'> {
    await client.query('ROLLBACK');
    this.#rolledBack++;
    return 'ended';
  }

  #known: OperationLimits | undefined;

  async #limits(client: pg.Client): Promise<OperationLimits> {
    if (this.#known !== undefined) return this.#known;
    const { rows } = await client.query<{ max: string }>('SELECT coalesce(max(id), 1) AS max FROM people');
    this.#known = { keyMax: Number(rows[0]?.max), largeRows: this.#options.largeRows };
    return this.#known;
  }
}

async function execute(client: pg.Client, { text, values }: Statement): Promise<void> {
  await client.query(text, [...values]);
}

async function close(client: pg.Client): Promise<void> {
  await Promise.race([client.end().catch(() => undefined), sleep(1000, undefined, { ref: false })]);
}

function isOrdinary(error: unknown): boolean {
  return ordinaryErrors.includes((error as { code?: string }).code ?? '');
}

/** Errors of the system have codes such as ECONNRESET; those of `pg` itself have none. */
function isLost(error: unknown): boolean {
  const { code = '' } = error as { code?: string };
  return lostErrors.includes(code) || !/^[0-9A-Z]{5}$/.test(code);
}

/** Starts a load on a sample database and returns when it has committed its first transactions. */
export async function startSampleLoad(options: SampleLoadOptions): Promise<SampleLoad> {
  const load = new SampleLoad({ seed: 1, clients: 4, pauseMs: 0, largeRows: 2000, ...options });
  while (load.counts.committed < firstTransactions) {
    // A load that cannot go on says why.
    if (load.isStopped) await load.stop();
    await sleep(5);
  }
  return load;
}
