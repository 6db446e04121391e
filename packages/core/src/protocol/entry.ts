// What a manifest says of one file, directory or other thing in a tree.

/** A name and a value as the kernel gives them; both are bytes. */
export type Xattr = { readonly name: Uint8Array; readonly value: Uint8Array };

/** A range of a file that holds data (the rest are holes). Bytes. */
export type Extent = { readonly offset: number; readonly length: number };

/** Which content it was at the source: when any of these differs later, what was received of the file is discarded. */
export type FileIdentity = {
  readonly device: bigint;
  readonly inode: bigint;
  readonly changeTimeNs: bigint;
};

/** What every entry has. */
export type EntryBase = {
  /** Index of the directory it lies in, always lower than its own; -1 for the root (entry 0). */
  readonly parent: number;
  /** One path component as bytes: never empty, `.`, `..`, and without `/` or NUL. The root's is the source's base name. */
  readonly name: Uint8Array;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifyTimeNs: bigint;
  readonly accessTimeNs: bigint;
  readonly xattrs: readonly Xattr[];
};

export type FileEntry = EntryBase & {
  readonly kind: 'file';
  readonly sizeBytes: number;
  readonly identity: FileIdentity;
  /** The data of a sparse file, ascending and not touching; undefined: all of it is data. */
  readonly extents: readonly Extent[] | undefined;
  /** It is made while it is sent, and can be read once: `sizeBytes` is the most it may have. Only a root is that. */
  readonly isStream?: true;
};
export type DirectoryEntry = EntryBase & { readonly kind: 'directory' };
export type SymlinkEntry = EntryBase & { readonly kind: 'symlink'; readonly target: Uint8Array };
export type FifoEntry = EntryBase & { readonly kind: 'fifo' };
export type DeviceEntry = EntryBase & {
  readonly kind: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
};
/** Another name of an earlier entry that is no directory; its metadata is that entry's. */
export type HardlinkEntry = {
  readonly kind: 'hardlink';
  readonly parent: number;
  readonly name: Uint8Array;
  /** Index of the entry it is another name of, lower than its own, never itself a hardlink. */
  readonly link: number;
};

export type Entry = FileEntry | DirectoryEntry | SymlinkEntry | FifoEntry | DeviceEntry | HardlinkEntry;
export type EntryKind = Entry['kind'];
