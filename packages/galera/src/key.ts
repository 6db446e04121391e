import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Call } from './contract/call.ts';
import type { ServerOptions } from './settings/server-options.ts';
import type { Settings } from './settings/settings.ts';

/** What a key file has to hold at least, and what is read of it at most. Bytes. */
const keyBytes = { min: 16, max: 4096 } as const;

/** What proves both sides of a transfer, besides its own secret; and where it is from, for people. */
export type Key = { readonly bytes: Uint8Array | undefined; readonly origin: string };

/**
 * The key of this node: the key file; without one, what `wsrep_sst_auth` holds, which every node of MariaDB has alike. With neither, a transfer is only
 * safe where nobody can read or change the group channel: throws NOT_TRUSTED where that is not so and no operator has allowed it (G11). Throws NOT_FOUND for a
 * named file that is not there, NO_PERMISSION, USAGE for one that cannot be a key.
 */
export function findKey(
  { dialect }: Pick<Call, 'dialect'>,
  { keyFile, isKeyFileNamed, credentials, allowUnauthenticatedDonor }: Settings,
  { isGroupEncrypted }: ServerOptions,
): Key {
  const bytes = readKey(keyFile, isKeyFileNamed);
  if (bytes !== undefined) return { bytes, origin: keyFile };
  // PXC makes credentials anew for each transfer, on the donor alone.
  if (credentials !== undefined && credentials.password !== '' && dialect !== 'pxc') {
    const text = JSON.stringify([credentials.user, credentials.password]);
    return { bytes: createHash('sha256').update(text).digest(), origin: 'wsrep_sst_auth' };
  }
  if (isGroupEncrypted) return { bytes: undefined, origin: 'the encrypted group channel' };
  if (allowUnauthenticatedDonor)
    return { bytes: undefined, origin: 'nothing, which allow-unauthenticated-donor allows' };
  throw new BatonError(
    'NOT_TRUSTED',
    `there is no key: ${keyFile} does not exist, wsrep_sst_auth has no password, and socket.ssl is off, so anybody in the network could give or take the data`,
    {
      hint: `make ${keyFile} by 'baton galera install' and copy it to all nodes, or encrypt the group channel with socket.ssl`,
    },
  );
}

function readKey(path: string, isNamed: boolean): Uint8Array | undefined {
  try {
    const { mode, size } = statSync(path);
    if ((mode & 0o007) !== 0) {
      throw new BatonError(
        'NO_PERMISSION',
        `${path} can be read or written by everybody (mode ${(mode & 0o777).toString(8)})`,
        {
          hint: `chmod 640 ${path}, and make a new key: the old one may be known`,
        },
      );
    }
    if (size > keyBytes.max)
      throw new BatonError('USAGE', `${path} has ${size} bytes, and a key has at most ${keyBytes.max}`);
    const key = Buffer.from(readFileSync(path, 'latin1').trim(), 'latin1');
    if (key.length >= keyBytes.min) return key;
    throw new BatonError('USAGE', `${path} holds ${key.length} bytes, and a key has at least ${keyBytes.min}`, {
      hint: 'make one: openssl rand -hex 32',
    });
  } catch (error) {
    if (error instanceof BatonError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !isNamed) return undefined;
    throw toBatonError(error, { path });
  }
}
