import { toBatonError } from '@batondb/core/files/system-error';
import { limits } from '../limits.ts';
import { type Position, parsePosition } from '../machine/position.ts';
import { makeBackup, newestOf, pruneBackups } from './backup.ts';
import type { FoundBackup } from './backup-format.ts';
import type { NodeSnapshot } from './snapshot.ts';

/** Where backups go, how often, and how many stay. */
export type BackupSettings = { readonly directory: string; readonly everyMs: number; readonly keep: number };

/** What became of backups since the start. Times are milliseconds since 1970. */
export type BackupStatus = {
  readonly directory: string;
  /** The newest one there is, also from before the start. */
  readonly newest?: { readonly path: string; readonly position: string; readonly madeMs: number };
  readonly made: number;
  readonly failed: number;
  /** Of the newest attempt, if it failed. */
  readonly failure?: { readonly message: string; readonly atMs: number };
};

/** What a schedule has to do with in its node. */
export type BackupPlace = {
  readonly take: () => Promise<NodeSnapshot>;
  /** Told of each backup that is the newest from then on, also of the one that is found at the start. */
  readonly onNewest: (position: Position) => void;
};

/** Makes backups from time to time, and when it is asked to; one at a time. What fails is in its status, and is tried again. */
export class BackupSchedule implements AsyncDisposable {
  readonly #settings: BackupSettings;
  readonly #place: BackupPlace;
  readonly #ended = new AbortController();
  #status: BackupStatus;
  #running: Promise<FoundBackup> | undefined;
  #next: Promise<FoundBackup> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** The next one is due when the newest of this log is as old as it may get, also over a restart. */
  constructor(settings: BackupSettings, logId: string, place: BackupPlace) {
    this.#settings = settings;
    this.#place = place;
    this.#status = { directory: settings.directory, made: 0, failed: 0 };
    try {
      const newest = newestOf(settings.directory, { logId });
      if (newest !== undefined) this.#note(newest);
      this.#wait(newest === undefined ? 0 : newest.manifest.madeMs + settings.everyMs - Date.now());
    } catch {
      // Whatever it is, the first attempt meets it, too, and tells it.
      this.#wait(0);
    }
  }

  get status(): BackupStatus {
    return this.#status;
  }

  /** Makes a backup of a state that is not before this call: one that is being made already ends first. Throws what makeBackup throws. */
  async run(): Promise<FoundBackup> {
    const before = this.#running;
    if (before === undefined) return await this.#begin();
    this.#next ??= before
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return await this.#next;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    clearTimeout(this.#timer);
    await this.#next?.catch(() => undefined);
    await this.#running?.catch(() => undefined);
  }

  #begin(): Promise<FoundBackup> {
    const running = this.#run();
    this.#running = running;
    const settle = (): void => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(settle, settle);
    return running;
  }

  async #run(): Promise<FoundBackup> {
    clearTimeout(this.#timer);
    const { directory, everyMs, keep } = this.#settings;
    const { signal } = this.#ended;
    let waitMs = Math.min(everyMs, limits.backupRetryMs);
    try {
      signal.throwIfAborted();
      await using snapshot = await this.#place.take();
      const made = await makeBackup(snapshot, directory, { nowMs: Date.now(), signal });
      // Only now: an older one is worth more than none.
      pruneBackups(directory, snapshot.record.logId, keep);
      const { failure: _, ...status } = this.#status;
      this.#status = { ...status, made: status.made + 1 };
      this.#note(made);
      waitMs = everyMs;
      return made;
    } catch (error) {
      const { message } = toBatonError(error);
      this.#status = { ...this.#status, failed: this.#status.failed + 1, failure: { message, atMs: Date.now() } };
      throw error;
    } finally {
      this.#wait(waitMs);
    }
  }

  #note({ path, manifest }: FoundBackup): void {
    this.#status = { ...this.#status, newest: { path, position: manifest.position, madeMs: manifest.madeMs } };
    this.#place.onNewest(parsePosition(manifest.position));
  }

  #wait(ms: number): void {
    if (this.#ended.signal.aborted) return;
    // A timer has 31 bits.
    this.#timer = setTimeout(() => void this.run().catch(() => undefined), Math.min(Math.max(ms, 0), 2 ** 31 - 1));
    this.#timer.unref();
  }
}
