import { close, errnos, flags, openat } from './libc.ts';
import { statDescriptor } from './stat.ts';

// The way down into a tree of any depth with few descriptors.

/** Levels that keep a descriptor; upper ones are opened again on the way back. A path of 4,095 bytes has up to 2,048 levels. */
const openLevelsMax = 100;

type Level = { fd: number; readonly device: bigint; readonly inode: bigint };

/**
 * A stack of open directories. When the way is deeper than openLevelsMax, upper ones are closed and found again through `..`,
 * and only taken for what they were when device and inode are the same.
 */
export class Descent implements Disposable {
  readonly #levels: Level[] = [];

  /** Goes into an open directory, which belongs to the descent from now on. */
  enter(fd: number, identity: { readonly device: bigint; readonly inode: bigint }): void {
    this.#levels.push({ fd, device: identity.device, inode: identity.inode });
    const hidden = this.#levels[this.#levels.length - 1 - openLevelsMax];
    if (hidden === undefined) return;
    close(hidden.fd);
    hidden.fd = -1;
  }

  /** Descriptor of the directory we are in. */
  get fd(): number {
    return this.#levels.at(-1)!.fd;
  }

  /** Goes back up. False when the directory above was closed meanwhile and is not where it was: `fd` is then no descriptor. */
  leave(): boolean {
    const left = this.#levels.pop()!;
    const above = this.#levels.at(-1);
    if (above !== undefined && above.fd < 0 && left.fd >= 0) above.fd = reopen(left.fd, above);
    if (left.fd >= 0) close(left.fd);
    return above === undefined || above.fd >= 0;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels) if (fd >= 0) close(fd);
    this.#levels.length = 0;
  }
}

const dotDot = Buffer.from('..');

function reopen(below: number, { device, inode }: Level): number {
  const fd = openat(below, dotDot, flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW);
  if (fd < 0) return -1;
  const stat = statDescriptor(fd);
  if (stat.device === device && stat.inode === inode) return fd;
  close(fd);
  return -errnos.ENOENT;
}
