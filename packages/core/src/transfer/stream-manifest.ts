import { randomBytes } from 'node:crypto';
import { limits } from '../limits.ts';
import { type Manifest, ManifestBuilder } from '../protocol/manifest.ts';

/** A stream is whatever its maker wrote, which may be a whole database: its owner alone may read it. */
const streamMode = 0o600;

/** The manifest of one stream. Its identity is made up, so that no two streams are ever taken for one. */
export function streamManifest(name: Uint8Array): Manifest {
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  const builder = new ManifestBuilder();
  builder.add({
    kind: 'file',
    parent: -1,
    name,
    mode: streamMode,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    modifyTimeNs: nowNs,
    accessTimeNs: nowNs,
    xattrs: [],
    sizeBytes: limits.streamBytesMax,
    identity: { device: 0n, inode: randomBytes(8).readBigUInt64LE(), changeTimeNs: nowNs },
    extents: undefined,
    isStream: true,
  });
  return builder.finish();
}
