/** Something that does not stop a transfer and that a person should know of. */
export type Finding = {
  /** The thing it is about, such as `[sst] rlimit`. */
  readonly subject: string;
  /** A sentence. */
  readonly text: string;
  /** The next step. */
  readonly hint?: string;
};
