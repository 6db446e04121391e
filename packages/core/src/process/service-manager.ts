import { BatonError } from '../errors.ts';
import { check, close, flags, sendto, socket } from '../files/libc.ts';

// What a service says to the one that started it: datagrams to a Unix socket, whose path is in NOTIFY_SOCKET (sd_notify(3)). Node has no
// datagrams of that kind.

const pathOffset = 2;
/** sun_path of unix(7). */
const pathBytesMax = 108;

/**
 * Sends assignments such as `READY=1` to a service manager. A path that begins with `@` is an abstract name. Throws BatonError SYSTEM when
 * nobody takes them.
 */
export function notifyServiceManager(socketPath: string, assignments: readonly string[]): void {
  const descriptor = check(socket(flags.AF_UNIX, flags.SOCK_DGRAM | flags.SOCK_CLOEXEC), 'socket', () => socketPath);
  try {
    const text = Buffer.from(`${assignments.join('\n')}\n`);
    check(sendto(descriptor, text, addressOf(socketPath)), 'sendto', () => socketPath);
  } finally {
    close(descriptor);
  }
}

/** sockaddr_un of a path or an abstract name, in this machine's byte order: both architectures are little-endian. */
function addressOf(socketPath: string): Buffer {
  const path = Buffer.from(socketPath);
  if (path.length >= pathBytesMax || (path[0] !== 0x2f && path[0] !== 0x40))
    throw new BatonError('USAGE', `NOTIFY_SOCKET is no path or name that could be used: ${socketPath.slice(0, 120)}`);
  const address = Buffer.alloc(pathOffset + path.length);
  address.writeUInt16LE(flags.AF_UNIX);
  path.copy(address, pathOffset);
  if (address[pathOffset] === 0x40) address[pathOffset] = 0;
  return address;
}
