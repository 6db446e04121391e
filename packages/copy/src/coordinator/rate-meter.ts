type Sample = { readonly atMs: number; readonly bytes: number };

/** The rate over the last seconds: steady enough to read, quick enough to show that something has stopped. */
const windowMs = 5_000;

/** Bytes per second of something that grows. */
export class RateMeter {
  readonly #now: () => number;
  #samples: Sample[] = [];

  /** `now` gives milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  observe(bytes: number): void {
    const atMs = this.#now();
    this.#samples.push({ atMs, bytes });
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - windowMs) this.#samples.shift();
  }

  /** 0 while nothing is known. */
  bytesPerSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return 0;
    const elapsedMs = this.#now() - first.atMs;
    return elapsedMs < 250 ? 0 : ((last.bytes - first.bytes) * 1000) / elapsedMs;
  }
}
