import { formatBytes, formatDuration, formatRate } from '@batondb/core/text/format';
import type { ServerLog } from './log.ts';
import type { StatusFile } from './status-file.ts';

/** How often the log hears of a stage that lasts. */
const logMs = 10_000;
const lookMs = 1_000;

/** One stage of a transfer: what is done, and of how much, where that is known. */
export type Stage = {
  /** For the log, without a subject: `receiving the backup`. */
  readonly name: string;
  /** Bytes done so far. */
  readonly doneBytes?: () => number;
  /** An estimate: the donor goes on writing. */
  readonly totalBytes?: number;
};

/** Tells log and status of every stage as it begins, and every 10 s while it lasts. Disposing of it ends the last stage. */
export class Progress implements Disposable {
  readonly #log: Pick<ServerLog, 'info'>;
  readonly #status: Pick<StatusFile, 'tell'>;
  readonly #timer: NodeJS.Timeout;
  #stage: Stage | undefined;
  #beganMs = 0;
  #loggedMs = 0;
  #loggedBytes = 0;

  constructor(log: Pick<ServerLog, 'info'>, status: Pick<StatusFile, 'tell'>) {
    this.#log = log;
    this.#status = status;
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  begin(stage: Stage): void {
    this.#end();
    this.#stage = stage;
    this.#beganMs = this.#loggedMs = performance.now();
    this.#loggedBytes = stage.doneBytes?.() ?? 0;
    const { name, totalBytes } = stage;
    this.#log.info(totalBytes === undefined ? name : `${name}, about ${formatBytes(totalBytes)}`);
    this.#status.tell({ stage: name, totalBytes, doneBytes: 0, bytesPerSecond: undefined });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#end();
  }

  /** A stage that has moved bytes is told how it went. */
  #end(): void {
    if (this.#stage?.doneBytes === undefined) return;
    const bytes = this.#stage.doneBytes();
    const ms = performance.now() - this.#beganMs;
    const rate = formatRate((bytes / Math.max(ms, 1)) * 1000);
    this.#log.info(`${this.#stage.name}: ${formatBytes(bytes)} in ${formatDuration(ms)}, ${rate}`);
    this.#stage = undefined;
  }

  #look(): void {
    if (this.#stage === undefined) return;
    const { name, doneBytes, totalBytes } = this.#stage;
    const nowMs = performance.now();
    const bytes = doneBytes?.();
    const seconds = (nowMs - this.#loggedMs) / 1000;
    const bytesPerSecond = bytes === undefined ? undefined : (bytes - this.#loggedBytes) / seconds;
    this.#status.tell({ stage: name, totalBytes, doneBytes: bytes, bytesPerSecond });
    if (nowMs - this.#loggedMs < logMs) return;
    this.#log.info(progressSentence(name, nowMs - this.#beganMs, { bytes, totalBytes, bytesPerSecond }));
    this.#loggedMs = nowMs;
    this.#loggedBytes = bytes ?? 0;
  }
}

type Measured = {
  readonly bytes: number | undefined;
  readonly totalBytes: number | undefined;
  readonly bytesPerSecond: number | undefined;
};

/** `receiving: 1.2 GiB of about 4.0 GiB (30 %), 210 MiB/s, 14 s left`; what is not known is left out. */
export function progressSentence(
  name: string,
  lastsMs: number,
  { bytes, totalBytes, bytesPerSecond }: Measured,
): string {
  if (bytes === undefined) return `${name}, for ${formatDuration(lastsMs)}`;
  const parts = [formatBytes(bytes)];
  if (totalBytes !== undefined && totalBytes > 0) {
    // The estimate may be less than what comes.
    parts[0] += ` of about ${formatBytes(totalBytes)} (${Math.min(99, Math.floor((bytes / totalBytes) * 100))} %)`;
  }
  if (bytesPerSecond !== undefined) {
    parts.push(formatRate(bytesPerSecond));
    const leftBytes = (totalBytes ?? 0) - bytes;
    if (leftBytes > 0 && bytesPerSecond > 0) parts.push(`${formatDuration((leftBytes / bytesPerSecond) * 1000)} left`);
  }
  return `${name}: ${parts.join(', ')}`;
}
