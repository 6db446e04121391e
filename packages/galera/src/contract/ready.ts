// The one line that travels from the joiner's process to the donor's: `ready baton:SECRET@HOST:PORT/VERSION.FINGERPRINT`. The joiner's
// server reads it, Galera carries it to the donor, whose server hands the secret on in the environment and the rest as `--address`.
import { BatonError } from '@batondb/core/errors';
import { formatEndpoint, portOf } from './address.ts';
import type { Call } from './call.ts';

/** How a donor finds a joiner, and knows it. */
export type Ready = {
  readonly host: string;
  readonly port: number;
  /** The session secret, in the alphabet that servers let through. */
  readonly secret: string;
  /** Of the joiner's certificate for this transfer, in hexadecimal digits. */
  readonly fingerprint: string;
};

/** The format of the line; a donor refuses what it does not know. */
const version = '1';
const user = 'baton';

/** MariaDB and PXC read the line into 512 bytes, its end and a final NUL included; what is longer is cut without a word. */
const lineBytesMax = 510;

/** MariaDB refuses a request with anything else before the `@`, as its donor's log says only; PXC allows little more. */
const word = /^[A-Za-z0-9._-]+$/;
const hexadecimal = /^[0-9a-f]{64}$/;

/** The line, without its end. Throws USAGE when it does not fit into what the servers read. */
export function formatReady(ready: Ready): string {
  const { host, port, secret, fingerprint } = ready;
  if (!word.test(secret)) throw new BatonError('BUG', 'the session secret has characters that a server refuses');
  const line = `ready ${user}:${secret}@${formatEndpoint(host, port)}/${version}.${fingerprint}`;
  if (line.length <= lineBytesMax) return line;
  throw new BatonError(
    'USAGE',
    `the address ${host} makes a line of ${line.length} bytes, and servers read ${lineBytesMax}`,
    {
      hint: 'give a shorter wsrep_sst_receive_address',
    },
  );
}

/**
 * What the joiner has said, from a donor's call. Throws VERSION_MISMATCH when the joiner is not of our kind or speaks another version,
 * PROTOCOL when what reached us is damaged.
 */
export function parseReady(call: Call): Ready {
  const { address, remote } = call;
  const [, itsVersion, fingerprint = ''] = /^(\d+)\.([^/]*)$/.exec(address.path ?? '') ?? [];
  if (itsVersion !== version || remote?.user !== user) {
    const said =
      itsVersion === undefined ? 'is not of baton' : `is of version ${itsVersion}, and this donor knows ${version}`;
    throw new BatonError('VERSION_MISMATCH', `the request of the joiner at ${address.host} ${said}`, {
      hint: 'install the same release of baton on both nodes',
    });
  }
  if (!hexadecimal.test(fingerprint) || !word.test(remote.secret)) {
    throw new BatonError('PROTOCOL', `the request of the joiner at ${address.host} has no fingerprint or no secret`);
  }
  return { host: address.host, port: portOf(address), secret: remote.secret, fingerprint };
}
