import type { GroupLimits } from '../group-commit.ts';

// Every bound of the sinks of lines, each with its reason.

/** What is written at once, and as much again is read ahead: enough that syncing costs little beside it, little enough to hold twice. */
export const groupLimits: GroupLimits = { eventsMax: 10_000, charactersMax: 4_194_304 };

export const linesLimits = {
  /** Lines of a dump that wait in memory before they are written. What is checked at a start is one such piece, or one group. */
  pieceCharacters: 1_048_576,
  /** Lines that become bytes at once: below it calls cost more than they do, above it what they were put together from lives for too long. */
  encodedCharacters: 16_384,
  /** State lines that stand on one another: so many are read at a start at most. */
  stateChainMax: 64,
  /** How much of a file's end is searched at once for its last commit. */
  searchBytes: 1_048_576,
  /** One line of ours that is read back: the state of some ten thousand tables. */
  ownLineBytesMax: 67_108_864,
  /** One line of a command: its position and state. */
  answerBytesMax: 67_108_864,
  /** How long a command may take to say where it is: it may have to open a database of its own. */
  helloMsMax: 60_000,
  /** How long a command has for what it still does, once its input has ended. */
  endMsMax: 10_000,
} as const;
