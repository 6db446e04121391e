// Listens on any free port in the place of an agent, and tells what it is given. Runs in a host's network as a process of its own; ends
// with its input. Argument: `tls` (a certificate of its own, every client welcome) or `plain` (answers anything with noise).
import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { makeIdentity } from '@batondb/core/transport/certificate';

/** What it has seen so far, a line whenever that changes. `contentBytes`: after TLS, where there is TLS. */
export type ImpostorReport = { readonly port: number; readonly connections: number; readonly contentBytes: number };

const seen = { port: 0, connections: 0, contentBytes: 0 };

function tell(): void {
  process.stdout.write(`${JSON.stringify(seen satisfies ImpostorReport)}\n`);
}

function serve(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    seen.contentBytes += chunk.length;
    tell();
    if (process.argv[2] === 'plain') socket.write(randomBytes(500));
  });
}

const { privateKeyPem, certificatePem } = makeIdentity();
const tls = { key: privateKeyPem, cert: certificatePem, requestCert: true, rejectUnauthorized: false } as const;
const server =
  process.argv[2] === 'plain' ? createServer(serve) : createTlsServer({ ...tls, minVersion: 'TLSv1.3' }, serve);
// Also those that end before a handshake does.
server.on('connection', () => {
  seen.connections++;
  tell();
});
server.on('tlsClientError', () => undefined);
server.listen(0, '::', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') seen.port = address.port;
  tell();
});
process.stdin.on('end', () => process.exit(0)).resume();
