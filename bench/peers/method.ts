/**
 * One way to copy: a bash script that copies `$SOURCE/$NAME`, or a backup of the server at `$SOCKET`, into the directory `$TARGET`.
 * It finds in its environment: SOURCE, NAME, SOCKET, TARGET (of a method with more targets also TARGET2, TARGET3), PORT (a free
 * TCP port), PASSWORD, BATON (path of the command) and, when `ssh` is set, SSH_CONFIG (for `ssh -F`, hosts `bench-target`,
 * `bench-target2` and `bench-target3`). `phase NAME` in it marks a point in time.
 */
export type Method = {
  readonly name: string;
  readonly title: string;
  /** True: it backs up a server. Default: it copies a tree. */
  readonly isBackup?: boolean;
  /** The method that it is compared with. Default: `baton`. */
  readonly base?: string;
  /** What its time includes that others' does not, for the report. */
  readonly includes?: string;
  /** Programs without which it cannot run. */
  readonly needs: readonly string[];
  /** True: a server for SSH_CONFIG is up while it runs, and counted. */
  readonly ssh?: boolean;
  /** True: takes so long that every second round must do. */
  readonly slow?: boolean;
  /** Directories that it fills. Default: 1. */
  readonly targets?: number;
  readonly script: string;
};
