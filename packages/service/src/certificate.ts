import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';

/** Where a certificate with its chain, and its key, are; both PEM. */
export type CertificateFiles = { readonly certificatePath: string; readonly keyPath: string };

/** Reads a certificate and tries it. Throws USAGE when the two do not fit together, so that a bad pair never replaces a good one (S5). */
export function readCertificate({ certificatePath, keyPath }: CertificateFiles): SecureContextOptions {
  const options: SecureContextOptions = {
    cert: read(certificatePath),
    key: read(keyPath),
    minVersion: 'TLSv1.2',
  };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new BatonError('USAGE', `${certificatePath} and ${keyPath} are no certificate and its key`, { cause });
  }
  return options;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
