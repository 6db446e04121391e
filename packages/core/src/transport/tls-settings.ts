import { constants } from 'node:crypto';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Authority } from './authority.ts';
import { fingerprintOf, type Identity } from './certificate.ts';

/** TLS 1.3 only (RFC 8446). AES-128-GCM comes first: with the processors' instructions for it, nothing is faster. Of a peer `authority` says only what `distrustOf` tells. */
export function secureOptions(identity: Identity, authority?: Authority): SecureContextOptions {
  return {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    honorCipherOrder: true,
    // Without tickets no session is resumed, so every connection proves possession of the certificate's key.
    secureOptions: constants.SSL_OP_NO_TICKET,
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ...(authority === undefined ? {} : { ca: [...authority.certificates] }),
    ...(authority === undefined || authority.revocations.length === 0 ? {} : { crl: [...authority.revocations] }),
  };
}

/** How long an idle connection is silent before TCP asks whether the peer is there. */
export const keepAliveMs = 15_000;

const bindingLabel = 'EXPORTER-baton-hop';

/** RFC 8446, 7.5: keying material that both ends of this handshake can derive and nobody else. 32 bytes. */
export function bindingOf(socket: TLSSocket): Uint8Array {
  return new Uint8Array(socket.exportKeyingMaterial(32, bindingLabel, Buffer.alloc(0)));
}

/** The fingerprint of the certificate the peer proved in the handshake; undefined when it showed none. */
export function peerFingerprintOf(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : fingerprintOf(certificate.raw);
}

/** What went wrong, for people: OpenSSL's reason without the place in its sources. */
export function reasonOf(error: Error): string {
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}
