import { duplexPair } from 'node:stream';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { BatonError } from '../errors.ts';
import { type Authority, distrustOf } from './authority.ts';
import type { Identity } from './certificate.ts';
import { reasonOf, secureOptions } from './tls-settings.ts';

/** No network is between the two. */
const handshakeMsMax = 10_000;

/** What a peer with the same authority says of a certificate: words behind a colon; undefined: it takes it. */
export type OwnVerdict = {
  /** Where the certificate's owner is connected to. */
  readonly asServer: string | undefined;
  /** Where its owner connects. */
  readonly asClient: string | undefined;
};

/**
 * Tries an identity by the only judge that counts: a TLS handshake with itself, in memory, where each side asks the authority about the other. Throws USAGE when OpenSSL cannot
 * use what it is given (too short a key, a key of another certificate).
 */
export async function judgeOwn(identity: Identity, authority: Authority): Promise<OwnVerdict> {
  const options = { ...secureOptions(identity, authority), rejectUnauthorized: false };
  const { promise, resolve, reject } = Promise.withResolvers<OwnVerdict>();
  const [near, far] = duplexPair();
  let client: TLSSocket | undefined;
  const timer = setTimeout(() => reject(new Error(`no end within ${handshakeMsMax} ms`)), handshakeMsMax);
  try {
    // The server never listens: it is handed the one connection.
    const server = createServer({ ...options, requestCert: true });
    const accepted = new Promise<TLSSocket>((accept) => server.once('secureConnection', accept));
    server.on('tlsClientError', reject).emit('connection', far);
    const ours = connect({ ...options, socket: near, checkServerIdentity: () => undefined });
    client = ours;
    ours.on('error', reject).once('secureConnect', () => {
      accepted.then((theirs) => resolve({ asServer: distrustOf(ours), asClient: distrustOf(theirs) }), reject);
    });
    return await promise;
  } catch (error) {
    throw new BatonError('USAGE', `OpenSSL does not take it: ${reasonOf(error as Error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    client?.destroy();
    far.destroy();
  }
}
