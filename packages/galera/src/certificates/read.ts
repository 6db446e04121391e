// The certificate files of a node whose operator demands that an authority vouches for both sides. Whatever can be wrong with them is found before anybody connects.
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { fingerprintOf } from '@batondb/core/transport/certificate';
import type { AuthorityDemand } from '../settings/authority.ts';
import { limits } from '../settings/limits.ts';
import type { Certified } from '../wire/certified.ts';
import { certificatesIn, listed, readText, unusable } from './files.ts';

/** What is read of a node's files, each of its kind. */
export type CertificateFiles = Certified & {
  readonly certificate: X509Certificate;
  /** Of the authority. */
  readonly authorities: readonly X509Certificate[];
  /** The authority's file or directory, for people. */
  readonly authorityPath: string;
};

/**
 * Reads the files of a demand. Throws NOT_FOUND and NO_PERMISSION for those that the server's user cannot read, USAGE for those that are not what they have to be, each naming
 * the file and the next step. Whether the certificate is taken by others checkCertificate() tells.
 */
export function readCertificates(demand: AuthorityDemand): CertificateFiles {
  const { certificateFile, keyFile, revocationFile, option, isForHost } = demand;
  const certificatePem = readText(certificateFile);
  const [certificate] = certificatesIn(certificatePem, certificateFile);
  if (certificate === undefined) throw unusable(certificateFile, 'holds no certificate in PEM', 'ssl-cert');
  const privateKeyPem = readText(keyFile);
  checkKey(certificate, certificateFile, privateKeyPem, keyFile);
  const { path: authorityPath, pems } = readAuthority(demand);
  const authorities = pems.flatMap(({ path, pem }) => certificatesIn(pem, path));
  if (authorities.length === 0) throw unusable(authorityPath, 'holds no certificate of an authority in PEM', 'ssl-ca');
  const revocations = revocationFile === undefined ? [] : [readText(revocationFile)];
  return {
    identity: { certificatePem, privateKeyPem, fingerprint: fingerprintOf(certificate.raw) },
    authority: { certificates: authorities.map(String), revocations },
    isForHost,
    demand: option,
    certificate,
    authorities,
    authorityPath,
  };
}

function checkKey(certificate: X509Certificate, certificateFile: string, pem: string, keyFile: string): void {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    const isEncrypted = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem);
    const what = isEncrypted
      ? 'is encrypted, and nobody is there to type its passphrase'
      : 'holds no private key in PEM';
    throw unusable(keyFile, what, 'ssl-key', error);
  }
  if (certificate.checkPrivateKey(key)) return;
  throw unusable(keyFile, `is not the private key of ${certificateFile}`, 'ssl-key');
}

/** OpenSSL reads of a directory only what `openssl rehash` has named. */
function readAuthority({ authorityFile, authorityDirectory }: AuthorityDemand): {
  readonly path: string;
  readonly pems: readonly { readonly path: string; readonly pem: string }[];
} {
  const ofFile = authorityFile === undefined ? [] : [{ path: authorityFile, pem: readText(authorityFile) }];
  if (authorityDirectory === undefined) return { path: authorityFile ?? '', pems: ofFile };
  const names = listed(authorityDirectory).filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
  if (names.length === 0 && authorityFile === undefined) {
    throw new BatonError('USAGE', `${authorityDirectory} holds no certificates by the names that OpenSSL looks for`, {
      hint: `openssl rehash ${authorityDirectory}`,
    });
  }
  if (names.length > limits.authoritiesMax) {
    throw new BatonError(
      'LIMIT',
      `${authorityDirectory} holds ${names.length} certificates, and the limit is ${limits.authoritiesMax}`,
    );
  }
  const ofDirectory = names
    .map((name) => join(authorityDirectory, name))
    .map((path) => ({ path, pem: readText(path) }));
  return { path: authorityFile ?? authorityDirectory, pems: [...ofFile, ...ofDirectory] };
}
