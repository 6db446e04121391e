// Bounds of a session between donor and joiner, each with its reason; those of the data channel are core's.

export const wireLimits = {
  /** One control message. A manifest never travels in one; words about a server do. */
  messageBytesMax: 65_536,
  /** Messages of one side in one session: a session has some ten, and all of them are kept for a peer that reconnects. */
  messagesMax: 1000,
  /** A text in a message: a sentence or a position. Positions hold one GTID for each domain. */
  textCharactersMax: 4096,
  /** Named words in `about`. */
  aboutEntriesMax: 64,
  /** Streams and trees in one session: the backup, and what does not belong to it. */
  transfersMax: 16,
  /** How long a peer whose connection broke may take to be back. A switch that fails over takes some 30 s. */
  absenceMsMax: 60_000,
  /** The same while the joiner's host answers that nobody listens there: the joiner's process is gone, and the donor is held up for nobody. */
  refusedMsMax: 10_000,
  /** Between attempts to connect: the first, and the longest. */
  retryMsMin: 250,
  retryMsMax: 4000,
  /** How long a side that ends waits for its last word to be taken: a peer whose connection broke is back in less. */
  farewellMsMax: 2000,
  /** How long the donor waits for the joiner's own word when a data connection was refused. */
  causeMsMax: 1000,
  /** How often the joiner says how much of a stream it has handed on. The window of 64 MiB is enough for 1 GiB a second then. */
  heldMs: 50,
} as const;
