// Reads a real server by the codecs alone, without the source that is built on them: what a stream says, and the rows of a table.
import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { parsePostgresAddress } from '../src/postgres/address.ts';
import { findPrimary, type PrimaryNode, socketOf } from '../src/postgres/connect.ts';
import { copyOut } from '../src/postgres/copy-out.ts';
import { passwordSource } from '../src/postgres/passwords.ts';
import { decodeMessage } from '../src/postgres/pgoutput.ts';
import type { PgoutputMessage } from '../src/postgres/pgoutput-messages.ts';
import { formatLsn, type Lsn } from '../src/postgres/position.ts';
import { decodeFrame, encodeStandbyStatus } from '../src/postgres/replication-frames.ts';
import { CopyTextDecoder } from '../src/postgres/text.ts';
import type { Row } from '../src/table.ts';

/** Connections to a database by its address; all are closed at the end of its block. */
export class PostgresReading implements AsyncDisposable {
  readonly #url: string;
  readonly #clients = new Set<pg.Client>();
  #node: Promise<PrimaryNode> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  readonly connect = async (options: { readonly replication?: boolean } = {}): Promise<pg.Client> => {
    const address = parsePostgresAddress(this.#url, {});
    this.#node ??= findPrimary(address, passwordSource(address, {}, undefined), AbortSignal.timeout(60_000));
    const client = await (await this.#node).connect(options);
    this.#clients.add(client);
    return client;
  };

  /** All rows that `SELECT` gives. */
  async rows(select: string, columns: number): Promise<Row[]> {
    const client = await this.connect();
    const rows: Row[] = [];
    const sql = `COPY (${select}) TO STDOUT`;
    for await (const batch of copyOut(client, sql, new CopyTextDecoder({ columns }), AbortSignal.timeout(60_000)))
      rows.push(...batch);
    return rows;
  }

  /** Everything that a slot has up to a place of the log. */
  async messages(slot: string, publication: string, until: Lsn, protocol: number): Promise<PgoutputMessage[]> {
    const client = await this.connect({ replication: true });
    const { connection } = client as unknown as {
      connection: NodeJS.EventEmitter & { sendCopyFromChunk(bytes: Buffer): void };
    };
    const streaming = protocol >= 2 ? `, streaming 'on'` : '';
    const options = `proto_version '${protocol}', publication_names '${publication}', messages 'true'${streaming}`;
    const found: PgoutputMessage[] = [];
    let isStreamed = false;
    const reading = new Promise<void>((resolve, reject) => {
      connection.on('errorMessage', reject);
      connection.on('copyData', ({ chunk }: { chunk: Buffer }) => {
        try {
          const frame = decodeFrame(chunk);
          if (frame.kind === 'keepalive') {
            if (frame.walEnd >= until) resolve();
            const status = { written: 0n, flushed: 0n, applied: 0n, atMs: Date.now(), isReplyRequested: false };
            if (frame.isReplyRequested) connection.sendCopyFromChunk(encodeStandbyStatus(status));
            return;
          }
          const message = decodeMessage(chunk, frame.messageAt, isStreamed);
          if (message.kind === 'streamStart') isStreamed = true;
          if (message.kind === 'streamStop') isStreamed = false;
          found.push(message);
          if ((message.kind === 'commit' || message.kind === 'streamCommit') && message.endLsn >= until) resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new BatonError('BUG', String(error)));
        }
      });
    });
    // Ends with the connection; nobody hears of it.
    client.query(`START_REPLICATION SLOT ${slot} LOGICAL ${formatLsn(0n)} (${options})`).catch(() => undefined);
    await reading;
    return found;
  }

  /** What all connections have read so far. */
  bytesRead(): number {
    return [...this.#clients].reduce((sum, client) => sum + socketOf(client).bytesRead, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) socketOf(client).destroy();
    await Promise.resolve();
  }
}
