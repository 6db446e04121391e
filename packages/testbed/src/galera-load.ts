// Small transactions, one after another, that go on while a cluster transfers its state, and how long the longest of them waited.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GaleraNode } from './galera-node.ts';
import { waitUntil } from './process-table.ts';

/** A writer at work. */
export type GaleraLoad = AsyncDisposable & {
  /** Transactions that were acknowledged. */
  readonly accepted: number;
  /** Transactions that were refused, or whose fate is unknown since the node went away. */
  readonly refused: number;
  /** The longest time between two acknowledgements since {@link measure}, the one that lasts included. */
  readonly longestStallMs: number;
  /** Begins to measure anew. */
  measure(): void;
  /** Stops after the transaction at work, and throws when a row that was acknowledged is not there. */
  stop(): Promise<void>;
};

const createTable = `CREATE DATABASE IF NOT EXISTS load_test;
  CREATE TABLE IF NOT EXISTS load_test.accepted (id INT PRIMARY KEY, times INT NOT NULL, text VARCHAR(400)) ENGINE=InnoDB;`;

/** After a node went away, a client of its next start is tried this often. */
const retryMs = 200;
const pauseMs = 2;

/**
 * Writes into `load_test.accepted`, which it makes: each transaction adds a row, numbered on from the last, and changes an old one. A node that
 * goes away is tried until it is back.
 */
export async function startGaleraLoad(node: GaleraNode): Promise<GaleraLoad> {
  await node.sql(createTable);
  const last = Number(await node.value('SELECT COALESCE(MAX(id), 0) FROM load_test.accepted'));
  const load = new Load(node, last + 1);
  await waitUntil('the write load has begun', () => load.accepted > 20, 30_000);
  return load;
}

class Load implements GaleraLoad {
  accepted = 0;
  refused = 0;
  readonly #node: GaleraNode;
  readonly #writing: Promise<void>;
  readonly #acknowledged: number[] = [];
  #client: Client | undefined;
  #lastMs = performance.now();
  #stallMs = 0;
  #isStopped = false;

  constructor(node: GaleraNode, firstId: number) {
    this.#node = node;
    this.#writing = this.#write(firstId);
  }

  get longestStallMs(): number {
    return Math.max(this.#stallMs, this.#isStopped ? 0 : performance.now() - this.#lastMs);
  }

  measure(): void {
    this.#stallMs = 0;
    this.#lastMs = performance.now();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
    const found = new Set((await this.#node.sql('SELECT id FROM load_test.accepted')).map(([id]) => Number(id)));
    const lost = this.#acknowledged.filter((id) => !found.has(id));
    if (lost.length > 0) throw new Error(`${lost.length} acknowledged rows are not there, such as ${lost[0]}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    // A blocked cluster never answers: the client's end is the answer then.
    const timer = setTimeout(() => this.#client?.close(), 2000);
    await this.#writing;
    clearTimeout(timer);
  }

  async #write(firstId: number): Promise<void> {
    for (let id = firstId; !this.#isStopped; id++) {
      this.#client ??= await Client.open(this.#node.socketPath);
      const answer = await this.#client.run(
        `INSERT INTO load_test.accepted VALUES (${id}, 0, REPEAT('row ${id} ', 20)), (${Math.ceil(id / 2)}, 0, '')
          ON DUPLICATE KEY UPDATE times = times + 1 RETURNING 1;`,
      );
      if (answer === 'accepted') this.#accept(id);
      else this.refused += 1;
      if (answer === 'gone') {
        this.#client = undefined;
        await sleep(retryMs);
      }
      await sleep(pauseMs);
    }
    this.#client?.close();
    this.#stallMs = Math.max(this.#stallMs, performance.now() - this.#lastMs);
  }

  #accept(id: number): void {
    const nowMs = performance.now();
    this.#stallMs = Math.max(this.#stallMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.accepted += 1;
    this.#acknowledged.push(id);
  }
}

type Answer = 'accepted' | 'refused' | 'gone';

/** What the client says when the server, and not the statement, is the reason. */
const goneErrors = /^ERROR (1053|1927|2002|2006|2013)\b/;

/** The client program, kept open: a statement in, its fate out. */
class Client {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #settle: ((answer: Answer) => void) | undefined;
  #rows = 0;
  #hasEnded = false;

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.once('exit', () => {
      this.#hasEnded = true;
      this.#settle?.('gone');
    });
    // A statement of two rows answers with two lines when it is committed, and with one error when it is not.
    createInterface(child.stdout).on('line', () => {
      this.#rows += 1;
      if (this.#rows === 2) this.#settle?.('accepted');
    });
    createInterface(child.stderr).on('line', (line) => {
      // The statement is printed above its error.
      if (line.startsWith('ERROR ')) this.#settle?.(goneErrors.test(line) ? 'gone' : 'refused');
    });
  }

  static async open(socketPath: string): Promise<Client> {
    const argv = [
      '--no-defaults',
      '--batch',
      '--skip-column-names',
      '--unbuffered',
      '--force',
      `--socket=${socketPath}`,
    ];
    const child = spawn('mariadb', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    return new Client(child);
  }

  async run(statement: string): Promise<Answer> {
    if (this.#hasEnded) return 'gone';
    this.#rows = 0;
    const answered = new Promise<Answer>((resolve) => (this.#settle = resolve));
    this.#child.stdin.write(`${statement.replaceAll('\n', ' ')}\n`);
    const answer = await answered;
    this.#settle = undefined;
    if (answer === 'gone') this.close();
    return answer;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
