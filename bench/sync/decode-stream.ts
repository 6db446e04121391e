import { openSync, writeSync } from 'node:fs';
import { parsePostgresAddress } from '@batondb/sync/postgres/address';
import { findPrimary, type PrimaryNode, socketOf } from '@batondb/sync/postgres/connect';
import { passwordSource } from '@batondb/sync/postgres/passwords';
import { decodeMessage } from '@batondb/sync/postgres/pgoutput';
import { parseLsn } from '@batondb/sync/postgres/position';
import { decodeFrame } from '@batondb/sync/postgres/replication-frames';
import { rowJsonOf } from '@batondb/sync/row-json';
import type { Table } from '@batondb/sync/table';

type Client = Awaited<ReturnType<PrimaryNode['connect']>>;

export type Opened = {
  readonly connect: (options?: { readonly replication?: boolean }) => Promise<Client>;
  readonly close: () => void;
};

/** Connections as a source makes them. */
export async function openConnections(url: string): Promise<Opened> {
  const clients: Client[] = [];
  const address = parsePostgresAddress(url, {});
  const node = await findPrimary(address, passwordSource(address, {}, undefined), AbortSignal.timeout(60_000));
  const connect = async (options: { readonly replication?: boolean } = {}) => {
    const client = await node.connect(options);
    clients.push(client);
    return client;
  };
  const close = () => {
    for (const client of clients) socketOf(client).destroy();
  };
  return { connect, close };
}

/** Decodes inserts of a slot as JSON lines until `end`. */
export async function streamToLines(
  url: string,
  slot: string,
  publication: string,
  end: string,
  table: Table,
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  const opened = await openConnections(url);
  const client = await opened.connect({ replication: true });
  const json = rowJsonOf(table);
  const output = openSync('/dev/null', 'w');
  const until = parseLsn(end);
  const [begin, cpu] = [performance.now(), process.cpuUsage()];
  let text = '';
  await new Promise<void>((resolve, reject) => {
    connectionOf(client).on('errorMessage', reject);
    connectionOf(client).on('copyData', ({ chunk }: { readonly chunk: Buffer }) => {
      const frame = decodeFrame(chunk);
      if (frame.kind === 'keepalive') return;
      const message = decodeMessage(chunk, frame.messageAt, false);
      if (message.kind === 'insert') text += `${json(message.row)}\n`;
      else if (message.kind === 'commit') {
        // As a sink does: at the end of a transaction, when there is enough.
        if (text.length > 65_536 || message.endLsn >= until) {
          writeSync(output, text);
          text = '';
        }
        if (message.endLsn >= until) resolve();
      }
    });
    const options = `proto_version '1', publication_names '${publication}', messages 'true'`;
    client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${options})`).catch(() => undefined);
  });
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - begin) / 1000;
  const ended = new Promise((resolve) => socketOf(client).once('close', resolve));
  opened.close();
  await ended;
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

function connectionOf(client: Client): NodeJS.EventEmitter {
  return (client as unknown as { connection: NodeJS.EventEmitter }).connection;
}
