import type { EtcdClient } from '@batondb/etcd';

/** Rows that are read at a time. */
const readsMax = 64;

/** Rows as they are before an update that does not tell everything: in what is about to be written, else in etcd. */
export class BaseRows {
  readonly #client: EtcdClient;
  readonly #pending: (key: string) => string | null | undefined;
  readonly #read = new Map<string, string | undefined>();

  /** `pending`: what is going to be there; undefined for what is as it is in etcd. */
  constructor(client: EtcdClient, pending: (key: string) => string | null | undefined) {
    this.#client = client;
    this.#pending = pending;
  }

  /** Reads what is going to be asked for, many at a time; what was read before is forgotten. */
  async prefetch(keys: readonly string[]): Promise<void> {
    this.#read.clear();
    const wanted = [...new Set(keys)].filter((key) => this.#pending(key) === undefined);
    const reads: Promise<void>[] = [];
    for (let from = 0; from < wanted.length; from += readsMax)
      reads.push(this.#fetch(wanted.slice(from, from + readsMax)));
    await Promise.all(reads);
  }

  /** A key is about to be written: what was read of it is not what it is any more. */
  forget(key: string): void {
    this.#read.delete(key);
  }

  /** The value; undefined when there is none. */
  async get(key: string): Promise<string | undefined> {
    const pending = this.#pending(key);
    if (pending !== undefined) return pending ?? undefined;
    if (!this.#read.has(key)) await this.#fetch([key]);
    return this.#read.get(key);
  }

  async #fetch(keys: readonly string[]): Promise<void> {
    const { results } = await this.#client.look({ when: [], do: keys.map((key) => ({ range: { key } })) });
    for (const [index, key] of keys.entries()) this.#read.set(key, results[index]?.kvs[0]?.value.toString());
  }
}
