// What is read of certificate files, and how what is wrong with one is said.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits } from '../settings/limits.ts';

/** The names in a directory. Throws NOT_FOUND, NO_PERMISSION, NOT_A_DIRECTORY. */
export function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw readable(error, directory);
  }
}

/** The text of a file. Throws NOT_FOUND, NO_PERMISSION, LIMIT. */
export function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > limits.certificateBytesMax) {
      throw new BatonError(
        'LIMIT',
        `${path} has ${size} bytes, and certificates have at most ${limits.certificateBytesMax}`,
      );
    }
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw readable(error, path);
  }
}

/** All certificates of a text in PEM, in order. Throws USAGE for a damaged one, LIMIT. */
export function certificatesIn(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN (TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (TRUSTED )?CERTIFICATE-----/g) ?? [];
  if (blocks.length > limits.authoritiesMax) {
    throw new BatonError(
      'LIMIT',
      `${path} holds ${blocks.length} certificates, and the limit is ${limits.authoritiesMax}`,
    );
  }
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw unusable(path, 'holds a damaged certificate', 'ssl-cert, or ssl-ca', error);
    }
  });
}

/** A file that is not what it has to be; `option` names it. */
export function unusable(path: string, what: string, option: string, cause?: unknown): BatonError {
  const hint = `bring a good one there, or name another one with ${option} (the old names are tca, tcert, tkey)`;
  return new BatonError('USAGE', `${path} ${what}`, cause === undefined ? { hint } : { hint, cause });
}
function readable(error: unknown, path: string): BatonError {
  const { code, message } = toBatonError(error, { path });
  if (code !== 'NO_PERMISSION')
    return new BatonError(code, message, {
      hint: 'look at ssl-ca, ssl-cert and ssl-key, or tca, tcert and tkey in [sst]',
      cause: error,
    });
  return new BatonError(code, message, {
    hint: `let the server's user read it: chgrp mysql ${path} && chmod g+r ${path}, and the directories above it`,
    cause: error,
  });
}
