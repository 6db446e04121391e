import type { X509Certificate } from 'node:crypto';
import type { TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { BatonError } from '../errors.ts';
import { type Authority, distrustOf, isFor, namesOf } from './authority.ts';
import { fingerprintOf, type Identity } from './certificate.ts';
import { tlsConnection } from './tls-connection.ts';
import { reasonOf, secureOptions } from './tls-settings.ts';
import type { Connection } from './transport.ts';

export { type Listener, type ListenOptions, listenTls, type PortRange } from './tls-listener.ts';

/** Where to connect, as whom, and whom to expect there. */
export type ConnectOptions = {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
  /** Fingerprint of the one certificate the server must prove. */
  readonly expectedFingerprint: string;
  /** Who has to vouch for that certificate, too. */
  readonly issued?: IssuedBy | undefined;
  /** For everything from the name's lookup to the end of the handshake. */
  readonly timeoutMs: number;
  /** The address to connect from. Default: the system chooses. */
  readonly localAddress?: string;
};

/** What a certificate has to be besides the expected one. */
export type IssuedBy = {
  readonly authority: Authority;
  /** Whether it has to be for the host that is connected to. */
  readonly isForHost: boolean;
  /** Tells the one who has that certificate that it is not taken, and nothing else. Returns what ends the attempt. Must not throw. */
  readonly refuse: (connection: Connection, distrust: string) => Promise<BatonError>;
};

/**
 * Connects by mutual TLS 1.3. Nothing is read from the peer before its certificate is known to be the expected one (P1).
 * Throws HOP_UNREACHABLE (nobody answers), NOT_TRUSTED (another certificate, or no TLS 1.3), what `refuse` returns, or
 * the signal's reason.
 *
 * In TLS 1.3 a client is done before the server has judged the client's certificate: a refusal shows as the connection's end.
 */
export async function connectTls(options: ConnectOptions, signal?: AbortSignal): Promise<Connection> {
  signal?.throwIfAborted();
  const place = `${options.host} port ${options.port}`;
  const connectOptions: ConnectionOptions & TcpNetConnectOpts = {
    ...secureOptions(options.identity, options.issued?.authority),
    host: options.host,
    port: options.port,
    // The checks are ours, below: certificates are pinned, and may be issued besides.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    allowHalfOpen: true,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  };
  const socket = connect(connectOptions);
  try {
    await handshake(socket, place, options.timeoutMs, signal);
    // Asked once: a client that asks Node again is told that there is none.
    const certificate = socket.getPeerX509Certificate();
    const found = certificate === undefined ? undefined : fingerprintOf(certificate.raw);
    if (certificate === undefined || found !== options.expectedFingerprint)
      throw wrongCertificate(place, found, options.expectedFingerprint);
    const connection = tlsConnection(socket, found);
    if (options.issued === undefined) return connection;
    const { isForHost, refuse } = options.issued;
    const distrust = distrustOf(socket) ?? (isForHost ? strangerTo(certificate, options.host) : undefined);
    if (distrust !== undefined) throw await turnedAway(connection, distrust, refuse);
    return connection;
  } catch (error) {
    // An error may still come while the socket is being destroyed; nobody is left to hear it.
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
}

/** The last word to a peer is not lost to a reset. */
async function turnedAway(connection: Connection, distrust: string, refuse: IssuedBy['refuse']): Promise<BatonError> {
  await using _ = connection;
  const error = await refuse(connection, distrust);
  await connection.end().catch(() => undefined);
  return error;
}

function strangerTo(certificate: X509Certificate, host: string): string | undefined {
  return isFor(certificate, host) ? undefined : `it is for ${namesOf(certificate)}, and not for ${host}`;
}

function handshake(socket: TLSSocket, place: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: Error): void => reject(connectError(place, error));
  const onClose = (): void => reject(unreachable(place, 'it closed the connection during the handshake'));
  const onAbort = (): void => reject(signal?.reason);
  const timer = setTimeout(() => reject(unreachable(place, `no answer within ${timeoutMs} ms`)), timeoutMs);
  socket.once('secureConnect', resolve).once('error', onError).once('close', onClose);
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    socket.off('secureConnect', resolve).off('error', onError).off('close', onClose);
  });
}

function connectError(place: string, error: Error): BatonError {
  const isTls = 'code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_SSL');
  if (!isTls) return unreachable(place, error.message, error);
  return new BatonError('NOT_TRUSTED', `${place} did not complete a TLS 1.3 handshake: ${reasonOf(error)}`, {
    cause: error,
  });
}

function unreachable(place: string, what: string, cause?: Error): BatonError {
  return new BatonError('HOP_UNREACHABLE', `cannot connect to ${place}: ${what}`, {
    retryable: true,
    hint: 'allow the port in the firewall of that host, or choose another with --port',
    ...(cause === undefined ? {} : { cause }),
  });
}

function wrongCertificate(place: string, found: string | undefined, expected: string): BatonError {
  return new BatonError(
    'NOT_TRUSTED',
    `certificate of ${place} is ${found ?? 'missing'}, but ${expected} was expected`,
    {
      hint: 'something else answers on that port, or another copy does',
    },
  );
}
