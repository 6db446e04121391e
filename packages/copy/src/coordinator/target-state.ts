import type { ErrorRecord } from '@batondb/core/errors';
import type { AgentEvent } from '../control/messages.ts';
import type { TargetProgress, TargetResult } from '../events.ts';
import type { ReadyTarget } from './preflight.ts';
import { RateMeter } from './rate-meter.ts';
import type { Scan } from './scan.ts';

type ProgressEvent = Extract<AgentEvent, { type: 'progress' }>;

/** What the coordinator knows of one target while the copy runs. */
export class TargetState {
  readonly target: ReadyTarget;
  /** The last thing the target said of its progress. */
  progress: Omit<ProgressEvent, 'type'>;
  result: TargetResult | undefined;
  /** Who feeds it, as was last told. Member number. */
  sender: number;
  treeDigest: string | undefined;
  /** When data last arrived, or its sender was last changed. Milliseconds of performance.now(). */
  movedAtMs: number = performance.now();
  /** How often it stood still since it last moved. */
  stalls = 0;
  /** Failed attempts of its present sender. */
  hopFailures = 0;
  lastHopError: ErrorRecord | undefined;
  /** Seconds in a row in which it was much slower than its sender. */
  laggingSeconds = 0;
  /** It was found to hold up others once. */
  hasLagged = false;
  /** What the source has to give. Of a stream, that grows. */
  sourceBytes: number;
  /** How long a stream is shows at its end. */
  #isOpenEnded: boolean;
  /** Of the phase that runs. */
  rate: RateMeter = new RateMeter();
  /** How fast data came last while there was data to come. Bytes per second; 0: it has received nothing. */
  #receivedRate = 0;

  constructor(target: ReadyTarget, sender: number, { contentBytes: totalBytes, files: totalFiles, isStream }: Scan) {
    this.target = target;
    this.sender = sender;
    this.sourceBytes = isStream ? 0 : totalBytes;
    this.#isOpenEnded = isStream;
    this.progress = {
      phase: 'checking',
      doneBytes: 0,
      totalBytes,
      doneFiles: 0,
      totalFiles,
      wireBytes: 0,
      resumedBytes: 0,
    };
  }

  /** It is neither done nor failed. */
  get isOpen(): boolean {
    return this.result === undefined;
  }

  /** It still needs data. */
  get isReceiving(): boolean {
    return this.isOpen && (this.progress.phase === 'receiving' || this.progress.phase === 'checking');
  }

  /** How fast it takes data, or took it while it still needed some. Bytes per second; 0 while nothing is known. */
  get receivingRate(): number {
    return this.progress.phase === 'receiving' ? this.rate.bytesPerSecond() : this.#receivedRate;
  }

  /** Takes what the target says of itself. */
  take(progress: Omit<ProgressEvent, 'type'>): void {
    const isNewPhase = progress.phase !== this.progress.phase;
    const hasMoved = isNewPhase || progress.doneBytes !== this.progress.doneBytes;
    if (isNewPhase) {
      this.#receivedRate = this.receivingRate;
      this.rate = new RateMeter();
    }
    const { totalBytes, totalFiles } = this.progress;
    // A target learns the totals with the manifest; until then ours stand.
    const isEarly = progress.totalFiles === 0 || this.#isOpenEnded;
    this.progress = isEarly ? { ...progress, totalBytes, totalFiles } : progress;
    this.rate.observe(progress.doneBytes);
    if (!hasMoved) return;
    this.movedAtMs = performance.now();
    this.stalls = 0;
    this.hopFailures = 0;
    this.lastHopError = undefined;
  }

  /** The source of a stream has read as much of it, or all. */
  extend(bytes: number, isEnded: boolean): void {
    this.sourceBytes = bytes;
    if (isEnded) this.progress = { ...this.progress, totalBytes: bytes };
  }

  /** For the progress event. */
  show(): TargetProgress {
    const { phase, totalBytes, doneFiles, totalFiles } = this.progress;
    // What an earlier run left may have to be read more than once.
    const isTotalKnown = totalBytes > 0 || !this.#isOpenEnded;
    const doneBytes = isTotalKnown ? Math.min(this.progress.doneBytes, totalBytes) : this.progress.doneBytes;
    const rateBytesPerSecond = this.rate.bytesPerSecond();
    const isForeseeable = rateBytesPerSecond > 0 && isTotalKnown;
    const etaSeconds = isForeseeable ? (totalBytes - doneBytes) / rateBytesPerSecond : undefined;
    const shown = this.result === undefined ? phase : this.result.state;
    return {
      target: this.target.name,
      phase: shown,
      doneBytes,
      totalBytes,
      doneFiles,
      totalFiles,
      rateBytesPerSecond,
      etaSeconds,
    };
  }
}
