import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import type { CertificateFiles } from './certificates/read.ts';
import type { Call } from './contract/call.ts';
import { readKey } from './node/key.ts';
import { limits } from './settings/limits.ts';
import type { ServerOptions } from './settings/server-options.ts';
import type { Settings } from './settings/settings.ts';

/** What proves both sides of a transfer, besides its own secret; and where it is from, for people. */
export type Key = { readonly bytes: Uint8Array | undefined; readonly origin: string };

/**
 * The key of this node: the key file; without one, what `wsrep_sst_auth` holds, which every node of MariaDB has alike. With neither, an authority of the cluster's own that has
 * to vouch for the other side is enough, and a transfer is else only safe where nobody can read or change the group channel: throws NOT_TRUSTED where that is not so and no
 * operator has allowed it (G11). Throws NOT_FOUND for a named file that is not there, NO_PERMISSION, USAGE for one that cannot be a key.
 */
export function findKey(
  { dialect }: Pick<Call, 'dialect'>,
  { keyFile, isKeyFileNamed, credentials, allowUnauthenticatedDonor }: Settings,
  { isGroupEncrypted }: ServerOptions,
  certified: CertificateFiles | undefined,
): Key {
  const bytes = readKeyFile(keyFile, isKeyFileNamed);
  if (bytes !== undefined) return { bytes, origin: keyFile };
  // PXC makes credentials anew for each transfer, on the donor alone.
  if (credentials !== undefined && credentials.password !== '' && dialect !== 'pxc') {
    const text = JSON.stringify([credentials.user, credentials.password]);
    return { bytes: createHash('sha256').update(text).digest(), origin: 'wsrep_sst_auth' };
  }
  if (certified !== undefined && certified.authorities.length <= limits.ownAuthoritiesMax)
    return { bytes: undefined, origin: `certificates of ${certified.authorityPath}` };
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

function readKeyFile(path: string, isNamed: boolean): Uint8Array | undefined {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined && !isNamed) return undefined;
  if (mode !== undefined && (mode & 0o007) !== 0) {
    throw new BatonError(
      'NO_PERMISSION',
      `${path} can be read or written by everybody (mode ${(mode & 0o777).toString(8)})`,
      { hint: `chmod 640 ${path}, and make a new key: the old one may be known` },
    );
  }
  return Buffer.from(readKey(path));
}
