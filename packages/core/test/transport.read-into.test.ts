// Proves: a TLS connection is read into one buffer that is used again, on this version of Node, and no byte of it is lost or mixed up by that.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import { readInto } from '../src/transport/read-into.ts';
import { openTls } from './transport.pairs.ts';

const options = { timeout: 20_000 };

test('sockets of this Node can be read so', options, async () => {
  const server = createServer((socket) => socket.write('before'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const socket: Socket = connect(address.port, '127.0.0.1');
  const [peer] = (await once(server, 'connection')) as [Socket];
  await once(socket, 'readable');
  const pieces: Uint8Array[] = [];
  const copies: string[] = [];
  const isRead = readInto(socket, (piece) => {
    pieces.push(piece);
    copies.push(Buffer.from(piece).toString());
  });
  assert.ok(isRead);
  assert.deepEqual(copies, ['before']);
  for (const word of ['one', 'two', 'three']) {
    const count = copies.length;
    peer.write(word);
    while (copies.length === count) await sleep(5);
  }
  assert.deepEqual(copies, ['before', 'one', 'two', 'three']);
  assert.ok(pieces.slice(1).every(({ buffer }) => buffer === pieces[1]?.buffer));
  const ended = once(socket, 'end');
  peer.end();
  await ended;
  socket.destroy();
  server.close();
});

test('frames of all sizes, taken late and at once', options, async () => {
  await using pair = await openTls();
  const sizes = [0, 1, 16_379, 16_380, 70_000, 3, 1_000_003, 5, 5, 5, 262_144];
  const payloads = sizes.map((size, index) => Buffer.alloc(size, index + 1));
  const sent = (async () => {
    for (const payload of [...payloads, ...payloads]) await pair.left.write(...encodeFrame(frameTypes.unit, payload));
  })();
  for (const [index, payload] of [...payloads, ...payloads].entries()) {
    // More arrives meanwhile, and has to wait.
    if (index % 3 === 0) await sleep(20);
    const frame = await pair.right.readFrame();
    assert.deepEqual(frame?.payload, new Uint8Array(payload));
  }
  await sent;
});
