import type { TLSSocket } from 'node:tls';
import { SocketConnection } from './socket-connection.ts';
import { bindingOf } from './tls-settings.ts';

/** Frames over a TLS socket whose handshake is over and whose peer has been checked. */
export function tlsConnection(socket: TLSSocket, fingerprint: string): SocketConnection {
  const name = `${socket.remoteAddress ?? 'unknown'} port ${socket.remotePort ?? 0}`;
  return new SocketConnection(socket, { fingerprint, binding: bindingOf(socket), name }, { isOurs: true });
}
