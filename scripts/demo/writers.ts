import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@libsql/client';

// Writers that never stop: each moves money between two accounts and writes it into a ledger, in one transaction with an idempotency key,
// and remembers what it was told.

export const accounts = 100;
export const startBalance = 1000;

/** Makes the accounts. */
export const bankSchema: readonly string[] = [
  'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)',
  `INSERT INTO accounts WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${accounts}) SELECT id, ${startBalance} FROM n`,
  'CREATE TABLE ledger (key TEXT PRIMARY KEY, debtor INTEGER NOT NULL, creditor INTEGER NOT NULL, amount INTEGER NOT NULL)',
];

const retryMs = 100;

/** Several writers at work on one server. */
export class Writers {
  /** Keys of the transactions that were acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Keys of those whose answer never came. */
  readonly unknown = new Set<string>();
  #isEnding = false;
  readonly #work: Promise<void>[];

  constructor(url: string, count: number) {
    this.#work = Array.from({ length: count }, () => this.#write(url));
  }

  /** Lets each finish what it is at. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#work);
  }

  async #write(url: string): Promise<void> {
    let key = '';
    const keyed = (request: Request): Promise<Response> => {
      request.headers.set('idempotency-key', key);
      return fetch(request);
    };
    const client = createClient({ url, fetch: keyed });
    while (!this.#isEnding) {
      key = randomUUID();
      try {
        await client.batch(transfer(key), 'write');
        this.acknowledged.add(key);
      } catch {
        // Nobody can tell: the answer was lost, perhaps the request.
        this.unknown.add(key);
        await delay(retryMs);
      }
    }
    client.close();
  }
}

function transfer(key: string): { sql: string; args: (string | number)[] }[] {
  const [debtor, creditor, amount] = [below(accounts) + 1, below(accounts) + 1, below(20) + 1];
  return [
    { sql: 'UPDATE accounts SET balance = balance - ? WHERE id = ?', args: [amount, debtor] },
    { sql: 'UPDATE accounts SET balance = balance + ? WHERE id = ?', args: [amount, creditor] },
    { sql: 'INSERT INTO ledger VALUES (?, ?, ?, ?)', args: [key, debtor, creditor, amount] },
  ];
}

function below(end: number): number {
  return Math.floor(Math.random() * end);
}
