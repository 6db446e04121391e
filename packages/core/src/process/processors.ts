import { type CpuInfo, cpus } from 'node:os';

/** A look sooner than this after the last one gives the same answer: the kernel counts in ticks of 10 ms. */
const lookMsMin = 500;

type Times = { readonly idle: number; readonly all: number };

/** How busy the processors of this machine are. */
export class Processors {
  readonly #read: () => Times;
  readonly #now: () => number;
  #seen: Times;
  #seenAtMs: number;
  #idleShare = 1;

  /** `read` gives time so far, of all processors together, in any unit; `now` milliseconds of a clock that never goes back. */
  constructor(read: () => Times = readTimes, now: () => number = () => performance.now()) {
    this.#read = read;
    this.#now = now;
    this.#seen = read();
    this.#seenAtMs = now();
  }

  /** The share of all processors' time that was idle lately: 0 (none) to 1 (all, also when nothing is known yet). */
  idleShare(): number {
    const now = this.#now();
    if (now - this.#seenAtMs < lookMsMin) return this.#idleShare;
    const times = this.#read();
    const passed = times.all - this.#seen.all;
    if (passed > 0) this.#idleShare = (times.idle - this.#seen.idle) / passed;
    this.#seen = times;
    this.#seenAtMs = now;
    return this.#idleShare;
  }
}

function readTimes(): Times {
  const sum = (times: CpuInfo['times']): number => times.user + times.nice + times.sys + times.irq + times.idle;
  const list = cpus();
  return {
    idle: list.reduce((total, { times }) => total + times.idle, 0),
    all: list.reduce((total, { times }) => total + sum(times), 0),
  };
}
