// Every bound of the program, each with its reason. What comes from outside is checked against one of these.

export const limits = {
  /** Payload of one data frame. A unit is 1 MiB of content; zstd may add a little to what it cannot shrink. */
  frameBytesMax: 4_194_304,
  /** Content of one unit: large enough that a system call and a message cost nothing beside it, small enough to resend. */
  unitBytes: 1_048_576,
  /** Pieces (files or parts of files) in one unit: keeps the work of one unit of tiny files below some 50 ms. */
  unitPiecesMax: 1024,
  /** One section of a manifest, encoded. Entries are at most entryBytesMax, so a section closes well below frameBytesMax. */
  sectionBytes: 1_048_576,
  /** One encoded entry: name 255, symlink 4,095, xattrs as below, extents as below. */
  entryBytesMax: 2_097_152,
  /** Entries of one manifest: tables of 32-bit indexes, and about 150 bytes each in memory on every host. */
  entriesMax: 100_000_000,
  /** Linux: NAME_MAX and PATH_MAX (a symlink's target may be 4,095 bytes). */
  nameBytesMax: 255,
  symlinkBytesMax: 4095,
  /** Linux: XATTR_SIZE_MAX for one value, XATTR_LIST_MAX for all names, so a list cannot be longer than this in sum. */
  xattrValueBytesMax: 65_536,
  xattrsBytesMax: 1_048_576,
  /** Extents kept of one sparse file; a file with more has its smallest holes filled. */
  extentsMax: 32_768,
  /** A control message between coordinator and agent (JSON). The largest carries a job's members or a batch of reports. */
  controlBytesMax: 16_777_216,
  /** What a login shell may print before the agent's first byte (banners, profile scripts) before we give up. */
  preambleBytesMax: 65_536,
  /** A configuration file: its bytes, and its words and marks, since the time of a YAML parser grows faster than its text. */
  configBytesMax: 1_048_576,
  configTokensMax: 20_000,
  /** Hosts in one job: the chain's length and the members' list. */
  hostsMax: 1000,
  /** Connections of one hop. More than this gains nothing on any link measured. */
  streamsMax: 32,
  /** Connections of admitted senders at one receiver: those of the present one, and of attempts before it that have not ended yet. */
  sessionsMax: 128,
  /** Time for a peer to finish TLS and its first frame, so that a silent stranger holds no slot. */
  handshakeMsMax: 10_000,
  /** Time for one address of a peer to answer, so that a firewall that drops packets does not hide the next address. */
  connectMsMax: 4000,
  /** Strangers in the middle of a handshake at the same time on one listener. */
  handshakesMax: 64,
  /** A frame of a peer that has still to prove itself, of which there may be handshakesMax: a proof takes some 300 bytes. */
  unprovenFrameBytesMax: 4096,
  /** A peer with nothing to say sends a ping this often, and one that is silent for silenceMsMax is taken for dead. */
  pingMs: 2000,
  silenceMsMax: 8000,
  /** What an offer says besides its manifest: a description for people and programs, not content. */
  offerBytesMax: 65_536,
  /** Claims of units that are not answered yet: enough to keep a fast link busy, 256 KiB with all their digests. */
  claimsMax: 256,
  /** Sent but not taken units that a hop holds in memory; what does not fit is read again from disk later. */
  hopBufferBytes: 12_097_152,
  /** A stream whose length nobody knows beforehand: a bit and a digest for each of its units, in memory on every host. */
  streamBytesMax: 17_592_186_044_416,
  /** What its source keeps of a stream until the targets have it: what flows in the half second that their word may take. */
  streamWindowUnits: 64,
  /** Members of one archive: what a file system has inodes for, and nobody waits for longer. */
  archiveMembersMax: 50_000_000,
  /** Directories of one archive: each takes some 400 bytes of memory until the end, when its metadata is set. */
  archiveDirectoriesMax: 2_000_000,
  /** An extended header of a member: all attributes that Linux allows, and two paths. */
  archiveHeaderBytesMax: 2_097_152,
  /** A member's path: eight times what a system call takes, which is deeper than trees are. */
  archivePathBytesMax: 32_768,
  /** Stretches of data in one sparse member: some 40 MiB of memory. */
  archiveExtentsMax: 1_000_000,
  /** Content that decompresses to nothing is fed at most this often: frames without content cost time and give nothing. */
  archiveFramesMax: 10_000_000,
  /** What a firewall's tool may print of its rules, without the members of sets. 16 MiB are some 50,000 rules. */
  rulesetBytesMax: 16_777_216,
  /** Addresses of one sender that are let in through a firewall. */
  senderAddressesMax: 64,
  /** Last lines of a child's stderr kept for its error message. */
  stderrBytesMax: 16_384,
} as const;
