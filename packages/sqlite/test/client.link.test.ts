// The client against servers that are none, or that go away.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { connect } from '../src/client/connect.ts';
import type { Statement } from '../src/databases.ts';

const timeout = 30_000;
const { signal } = new AbortController();
const select: Statement = { sql: 'SELECT 1', values: [], namedValues: [], wantRows: true };

type Said = { readonly type: string; readonly request_id: number; readonly request: { readonly type: string } };

/** A WebSocket server that answers hello, and then does with each request what a test wants. */
async function serve(
  answer: (socket: WebSocket, said: Said) => void,
  use: (address: string) => Promise<void>,
): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => {
      const said = JSON.parse(data.toString()) as Said;
      if (said.type === 'hello') socket.send('{"type":"hello_ok"}');
      else answer(socket, said);
    });
  });
  await once(server, 'listening');
  try {
    await use(`127.0.0.1:${(server.address() as { port: number }).port}`);
  } finally {
    for (const client of server.clients) client.terminate();
    server.close();
  }
}

/** Answers what opens a session, so that the statement is the first that goes wrong. */
function afterOpening(wrong: (socket: WebSocket, said: Said) => void): (socket: WebSocket, said: Said) => void {
  return (socket, said) => {
    const { type } = said.request;
    if (type !== 'open_stream' && type !== 'get_autocommit') return wrong(socket, said);
    socket.send(`{"type":"response_ok","request_id":${said.request_id},"response":{"type":"${type}"}}`);
  };
}

// Proves: when the connection breaks after a statement was sent, nobody claims to know what became of it; a later one was not sent, and that is known.
test('a server that goes away', { timeout }, () =>
  serve(
    afterOpening((socket) => socket.terminate()),
    async (address) => {
      const remote = await connect(address, {}, signal);
      const session = await remote.session(signal);
      await assert.rejects(session.execute(select, {}, signal), { code: 'OUTCOME_UNKNOWN' });
      assert.equal(remote.isOpen, false);
      await assert.rejects(session.execute(select, {}, signal), { code: 'CONNECTION_LOST', retryable: true });
      await assert.rejects(remote.session(signal), { code: 'CONNECTION_LOST' });
      await Promise.all([session.close(), remote.close(), remote.close()]);
    },
  ),
);

// Proves: answers that are none, or to nothing that was asked, end the connection with PROTOCOL; so does a result that is not one.
test('answers that are none', { timeout }, async () => {
  const nonsense = ['nonsense', '[]', '{"type":"x"}', '{"type":"response_ok","request_id":99999,"response":{}}'];
  for (const text of nonsense) {
    await serve(
      afterOpening((socket) => socket.send(text)),
      async (address) => {
        await using remote = await connect(address, {}, signal);
        const session = await remote.session(signal);
        await assert.rejects(
          session.execute(select, {}, signal),
          (error: Error & { code?: string; cause?: unknown }) => {
            return error.code === 'OUTCOME_UNKNOWN' && (error.cause as { code?: string }).code === 'PROTOCOL';
          },
        );
        assert.equal(remote.isOpen, false, text);
      },
    );
  }
  await serve(
    afterOpening((socket, { request_id: id }) =>
      socket.send(`{"type":"response_ok","request_id":${id},"response":{"type":"execute","result":{"cols":[]}}}`),
    ),
    async (address) => {
      await using remote = await connect(address, {}, signal);
      const session = await remote.session(signal);
      await assert.rejects(session.execute(select, {}, signal), { code: 'PROTOCOL', message: /result\.rows/ });
    },
  );
});

// Proves: a request that no server would read is refused before it is sent, and the connection goes on.
test('a request that is too large', { timeout }, () =>
  serve(
    afterOpening(() => assert.fail('it was sent')),
    async (address) => {
      await using remote = await connect(address, {}, signal);
      const session = await remote.session(signal);
      const large = { ...select, values: ['x'.repeat(40_000_000)] };
      await assert.rejects(session.execute(large, {}, signal), { code: 'LIMIT' });
      assert.equal(remote.isOpen, true);
    },
  ),
);

// Proves: a server of something else is told from one that refuses, and a signal ends the wait for one that says nothing.
test('servers of something else', { timeout }, async () => {
  const server = createServer((_, response) => response.writeHead(404).end('<html>')).listen(0, '127.0.0.1');
  server.on('upgrade', (request, socket) => {
    if (request.url === '/db/silent') return;
    socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>');
  });
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  await assert.rejects(connect(address, {}, signal), { code: 'PROTOCOL', message: /HTTP 404/ });
  await assert.rejects(connect(`${address}/db/silent`, {}, AbortSignal.timeout(100)), { name: 'TimeoutError' });
  server.closeAllConnections();
  server.close();
  await assert.rejects(connect(address, {}, signal), { code: 'UNREACHABLE', retryable: true, hint: /serve/ });
});
