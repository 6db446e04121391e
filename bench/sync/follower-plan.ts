// What a follower process is asked to do, and what it found. Both are JSON.

/** `nothing`: what comes is dropped, so that reading and decoding are all there is. `lines`: NDJSON to /dev/null. */
export type SinkKind = 'nothing' | 'lines' | 'ndjson' | 'sqlite' | 'etcd';

export type FollowerPlan = {
  readonly url: string;
  readonly slot: string;
  readonly publication: string;
  readonly include: readonly string[];
  readonly phases: 'both' | 'dump' | 'sync';
  /** A place in the server's log such as 0/16B3748; undefined: until it is told to stop. */
  readonly until: string | undefined;
  readonly jobs: number;
  readonly sink: SinkKind;
  /** A file, or etcd's URL with a prefix. */
  readonly place: string;
};

/** From the beginning of the measured phase to the end. */
export type Found = {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rows: number;
};
