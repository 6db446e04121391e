// Certificates that were issued, and are not only pinned: who vouches for a peer. RFC 5280, 6 (paths), RFC 6125 (names). OpenSSL judges the path; here is what it found, in words.
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Who has to have issued the certificate of a peer. */
export type Authority = {
  /** PEM: certificates that are trusted, and those on the way to them. */
  readonly certificates: readonly string[];
  /** PEM: lists of what was revoked. With one, every issuer of a path needs one that has not expired. */
  readonly revocations: readonly string[];
};

/** X509_V_ERR_…, as Node names them: those that an operator meets. */
const verdicts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it, or one that it comes from, has expired',
  CERT_NOT_YET_VALID: 'it, or one that it comes from, is not valid yet',
  CERT_REVOKED: 'it was revoked',
  CRL_HAS_EXPIRED: 'the list of revoked certificates has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'nobody but its owner has signed it',
  INVALID_PURPOSE: 'its extended key usage does not allow this use',
  SELF_SIGNED_CERT_IN_CHAIN: 'another authority has signed it',
  UNABLE_TO_GET_CRL: 'there is no list of revoked certificates of its issuer',
  UNABLE_TO_GET_ISSUER_CERT: 'the authority that has signed its issuer is not known',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the authority that has signed it is not known',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the authority that has signed it is not known',
};

/**
 * Why the authority does not vouch for the certificate that a peer has proven: words behind a colon; undefined: it does. Says something of a socket only if its side was given
 * the authority (`secureOptions`) and has asked for a certificate.
 */
export function distrustOf(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined;
  // Node's types say Error; what it sets is OpenSSL's name of the reason.
  const reason = String(socket.authorizationError ?? 'no reason was given');
  return Object.hasOwn(verdicts, reason) ? verdicts[reason] : reason;
}

/** Whether a certificate is for a host: an address has to stand in it as an address, a name as a name; the common name counts if there is no other. */
export function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return found !== undefined;
}

/** The names and addresses that a certificate is for, as it says them itself. */
export function namesOf({ subject, subjectAltName }: X509Certificate): string {
  const commonName = /^CN=(.*)$/m.exec(subject)?.[1];
  return subjectAltName ?? (commonName === undefined ? 'nothing' : `CN=${commonName}`);
}
