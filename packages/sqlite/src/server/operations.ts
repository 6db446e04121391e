import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { BatonError } from '@batondb/core/errors';
import { checkType } from '@batondb/service/guard';
import { Refusal } from '@batondb/service/refusal';
import { type Grant, requireRight } from '@batondb/service/tokens/gate';
import type { Operations } from '../databases.ts';
import type { Context } from './context.ts';
import type { Route } from './routes.ts';
import { digestHeader, spoolBody } from './spool.ts';

// What an operator asks of a server: databases made, dropped, fetched and sent as files, and backups.

/** A route that is an operation. */
export type OperationRoute = Extract<Route, { readonly operation: string }>;

/** An answer that fits into a line of JSON. Undefined: it was sent already. */
export type OperationAnswer = { readonly status: number; readonly body: unknown } | undefined;

/** The type of a SQLite file (https://www.iana.org/assignments/media-types/application/vnd.sqlite3). */
export const databaseFileType = 'application/vnd.sqlite3';

/** A name that has to be said twice, so that no stray request destroys anything. */
const confirmHeader = 'baton-confirm';

/** Answers an operation. Throws NO_SUCH_PATH where there are none, UNCONFIRMED, and what the databases throw. */
export async function answerOperation(
  context: Context,
  call: { readonly route: OperationRoute; readonly grant: Grant; readonly request: IncomingMessage },
  response: ServerResponse,
  gone: AbortSignal,
): Promise<OperationAnswer> {
  const { route, grant, request } = call;
  const { operations } = context.databases;
  if (operations === undefined) throw new Refusal('NO_SUCH_PATH', 'these databases have no operations');
  requireRight(grant, route.operation === 'list' || route.operation === 'fetch' ? 'read' : 'write');
  switch (route.operation) {
    case 'list':
      return { status: 200, body: { databases: await operations.list(gone) } };
    case 'create': {
      const isNew = await operations.create(route.database);
      return { status: isNew ? 201 : 200, body: { name: route.database } };
    }
    case 'drop':
      checkConfirmed(request, route.database);
      return { status: 200, body: { name: route.database, position: await operations.drop(route.database) } };
    case 'fetch':
      return await sendFile(operations, route.database, request, response, gone);
    case 'send':
      return await takeFile(context, operations, route, request);
    case 'backup':
      return { status: 200, body: await operations.backup(gone) };
  }
}

async function sendFile(
  operations: Operations,
  database: string,
  request: IncomingMessage,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<undefined> {
  await using file = await operations.openFile(database, gone);
  response.writeHead(200, {
    'content-type': databaseFileType,
    'content-length': file.bytes,
    'content-disposition': `attachment; filename="${database}.db"`,
    'baton-position': file.position,
    [digestHeader]: file.blake3,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  if (request.method === 'HEAD') response.end();
  else await give(file.content(), response);
  return undefined;
}

async function takeFile(
  context: Context,
  operations: Operations,
  { database, replaces }: Extract<OperationRoute, { readonly operation: 'send' }>,
  request: IncomingMessage,
): Promise<OperationAnswer> {
  checkType(request.headers, databaseFileType);
  const { uploadBytesMax, stallMsMax } = context.settings;
  using spooled = await spoolBody(request, operations.incoming, { bytesMax: uploadBytesMax, stallMsMax });
  const position = await operations.importFile(spooled.path, database, { replaces, called: 'the file that was sent' });
  return { status: 201, body: { name: database, position } };
}

async function give(content: AsyncIterable<Uint8Array>, response: ServerResponse): Promise<void> {
  try {
    await pipeline(content, response);
  } catch (cause) {
    if (cause instanceof BatonError) throw cause;
    throw new BatonError('CONNECTION_LOST', 'the client went away before it had all of the file', { cause });
  }
}

function checkConfirmed(request: IncomingMessage, database: string): void {
  if (request.headers[confirmHeader] === database) return;
  throw new Refusal('UNCONFIRMED', `dropping a database needs the header ${confirmHeader}: ${database}`);
}
