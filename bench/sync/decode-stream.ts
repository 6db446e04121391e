import { openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { decodeMessage } from '@batondb/sync/postgres/pgoutput';
import { parseLsn } from '@batondb/sync/postgres/position';
import { decodeFrame } from '@batondb/sync/postgres/replication-frames';
import { sessionSettings } from '@batondb/sync/postgres/session-settings';
import { rowJsonOf } from '@batondb/sync/row-json';
import type { Table } from '@batondb/sync/table';
import pg from 'pg';

export type Connection = {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  readonly passfile: string;
};

export type Opened = {
  readonly connect: (options?: { readonly replication?: boolean }) => Promise<pg.Client>;
  readonly close: () => void;
};

/** Connections with our session settings. */
export function connectTo({ host, port, password }: Connection): Opened {
  const clients: pg.Client[] = [];
  const options = Object.entries(sessionSettings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
    .join(' ');
  const connect = async ({ replication = false }: { readonly replication?: boolean } = {}) => {
    const login = { host, port, password, user: 'postgres', database: 'postgres', options };
    const client = new pg.Client({ ...login, ...(replication ? { replication: 'database' } : {}) } as pg.ClientConfig);
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  return { connect, close: () => clients.forEach((client) => void connectionOf(client).stream.destroy()) };
}

/** Decodes inserts of a slot as JSON lines until `end`. */
export async function streamToLines(
  place: Connection,
  slot: string,
  publication: string,
  end: string,
  table: Table,
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  const opened = connectTo(place);
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
  const ended = new Promise((resolve) => connectionOf(client).stream.once('close', resolve));
  opened.close();
  await ended;
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

function connectionOf(client: pg.Client): NodeJS.EventEmitter & { readonly stream: Socket } {
  return (client as unknown as { connection: NodeJS.EventEmitter & { readonly stream: Socket } }).connection;
}
