// A node that sends and a directory that receives, over a real socket.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { trustedPeer } from '@batondb/core/transfer/offering';
import { SocketConnection } from '@batondb/core/transport/socket-connection';
import type { Connection } from '@batondb/core/transport/transport';

/** Two ends of a connection over the loopback interface. */
export async function openPair(): Promise<{
  readonly ours: Connection;
  readonly theirs: Connection;
  readonly socket: Socket;
}> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [[other]] = await Promise.all([accepted, once(socket, 'connect')]);
  server.close();
  return {
    ours: new SocketConnection(socket, trustedPeer('left')),
    theirs: new SocketConnection(other, trustedPeer('right')),
    socket,
  };
}
