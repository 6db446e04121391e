import type { Extent, Xattr } from '../protocol/entry.ts';

/** What a member is. */
export type MemberKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'character' | 'block';

/** One file, directory or other thing in an archive, as the archive says it: nothing of it has been judged. */
export type Member = {
  readonly kind: MemberKind;
  /** As written, `/` between its components; may be absolute, hold `..`, or anything else. */
  readonly path: Uint8Array;
  /** Of a symlink its target, of a hardlink the path of another member. Empty otherwise. */
  readonly linkPath: Uint8Array;
  /** Of a file: its length when it is unpacked, holes included. */
  readonly sizeBytes: number;
  /** Of a file: content that follows in the archive. */
  readonly storedBytes: number;
  /** Of a sparse file: where the stored content belongs, ascending; their lengths are storedBytes in sum. */
  readonly extents: readonly Extent[] | undefined;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifyTimeNs: bigint;
  readonly accessTimeNs: bigint;
  readonly xattrs: readonly Xattr[];
  /** Metadata in a form that is not understood here, so that it cannot be kept. */
  readonly notUnderstood: readonly ('acl' | 'xattr')[];
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
};

/** What a reader finds, in the archive's order: a member, the content of a file in pieces, and its end. */
export type ArchiveEvent =
  | { readonly type: 'member'; readonly member: Member }
  /** `bytes` are only valid until the next event. */
  | { readonly type: 'content'; readonly bytes: Uint8Array }
  | { readonly type: 'member-end' };
