import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Xattr } from '../protocol/entry.ts';
import { check, errnos, lgetxattr, listxattrat, llistxattr, lremovexattr } from './libc.ts';
import { printable } from './names.ts';
import { descriptorPath } from './open.ts';

// Extended attributes, which on Linux include POSIX ACLs (system.posix_acl_*) and capabilities (security.capability).

const none: readonly Xattr[] = [];
const namesBuffer = new Uint8Array(limits.xattrValueBytesMax);
const valueBuffer = new Uint8Array(limits.xattrValueBytesMax);

const inheritedAcls = [Buffer.from('system.posix_acl_default'), Buffer.from('system.posix_acl_access')];

// Undefined until the first answer: old kernels lack the call, and some containers forbid calls they do not know.
let hasListxattrat: boolean | undefined;

function listNames(dirfd: number, name: Uint8Array): number {
  if (hasListxattrat !== false) {
    const result = listxattrat(dirfd, name, namesBuffer);
    const isMissing = result === -errnos.ENOSYS || result === -errnos.EPERM;
    hasListxattrat ??= !isMissing;
    if (!isMissing) return result;
  }
  return llistxattr(descriptorPath(dirfd, name), namesBuffer);
}

/**
 * All extended attributes of `name` below `dirfd`, sorted by name; of a symlink, its own. A file system
 * without them has none, and one that vanishes or is closed to us in between is left out. Throws SystemError, or LIMIT.
 */
export function readXattrs(dirfd: number, name: Uint8Array): readonly Xattr[] {
  const length = listNames(dirfd, name);
  if (length === 0 || length === -errnos.EOPNOTSUPP) return none;
  check(length, 'listxattr', () => printable(name));
  const path = descriptorPath(dirfd, name);
  const xattrs: Xattr[] = [];
  let totalBytes = 0;
  for (let at = 0; at < length; ) {
    const end = namesBuffer.indexOf(0, at);
    const xattrName = namesBuffer.slice(at, end);
    at = end + 1;
    const valueBytes = lgetxattr(path, xattrName, valueBuffer);
    if (
      valueBytes === -errnos.ENODATA ||
      valueBytes === -errnos.EACCES ||
      valueBytes === -errnos.EPERM ||
      valueBytes === -errnos.EOPNOTSUPP
    )
      continue;
    check(valueBytes, 'getxattr', () => `${printable(name)} (${printable(xattrName)})`);
    totalBytes += xattrName.length + valueBytes;
    if (totalBytes > limits.xattrsBytesMax) {
      throw new BatonError(
        'LIMIT',
        `${printable(name)} has more than ${limits.xattrsBytesMax} bytes of extended attributes`,
        { hint: 'remove some with setfattr -x, or leave the file out with --exclude' },
      );
    }
    xattrs.push({ name: xattrName, value: valueBuffer.slice(0, valueBytes) });
  }
  // File systems list them in different orders, and a rerun must give the same manifest.
  return xattrs.sort((a, b) => Buffer.compare(a.name, b.name));
}

/**
 * Takes from `name` below `dirfd` the ACLs it inherited from its directory's default ACL, which would go down into the whole
 * tree. Nothing happens where there are none.
 */
export function removeInheritedAcls(dirfd: number, name: Uint8Array): void {
  const path = descriptorPath(dirfd, name);
  for (const acl of inheritedAcls) {
    const result = lremovexattr(path, acl);
    if (
      result === -errnos.ENODATA ||
      result === -errnos.EOPNOTSUPP ||
      result === -errnos.EPERM ||
      result === -errnos.EACCES
    )
      continue;
    check(result, 'removexattr', () => printable(name));
  }
}
