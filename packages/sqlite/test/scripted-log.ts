// A log whose outcomes a test writes down beforehand.
import { BatonError } from '@batondb/core/errors';
import type { FileLayer, LayerFile } from '../src/log/file-layer.ts';
import type { AppendOutcome, Leadership, LogEntry, ReplicatedLog } from '../src/log/log.ts';
import type { OpenedLog } from '../src/node/opened-log.ts';

/**
 * What happens to an append: it is accepted or refused; its outcome is unknown, and the next leader finds it in the log (`unknown-present`) or
 * not (`unknown-absent`); there is no space. `-foreign`: another node leads meanwhile and appends an entry, then this one may lead again.
 */
export type Step =
  | 'accepted'
  | 'refused'
  | 'refused-foreign'
  | 'unknown-present'
  | 'unknown-present-foreign'
  | 'unknown-absent'
  | 'unknown-foreign'
  | 'no-space';

export class ScriptedLog implements ReplicatedLog {
  readonly script: Step[] = [];
  readonly list: LogEntry[] = [];
  /** Makes what another node appends to what is there. */
  foreign: ((index: number, epoch: number) => readonly LogEntry[] | Promise<readonly LogEntry[]>) | undefined;
  /** There is no room here for what the log would accept. */
  isFull = false;
  /** Appends wait until it resolves. */
  gate: Promise<void> = Promise.resolve();
  #epoch = 0;

  get head(): number {
    return this.list.length;
  }

  lead(): Promise<Leadership> {
    this.#epoch += 1;
    return Promise.resolve({ epoch: this.#epoch, head: this.head });
  }

  async append(entry: LogEntry, fence: number): Promise<AppendOutcome> {
    await this.gate;
    const step = fence === this.#epoch ? (this.script.shift() ?? 'accepted') : 'refused';
    const copy = { ...entry, payload: Buffer.from(entry.payload) };
    switch (step) {
      case 'accepted':
        this.list.push(copy);
        return 'accepted';
      case 'refused':
        return 'refused';
      case 'refused-foreign':
        await this.#appendForeign();
        return 'refused';
      case 'unknown-present':
        this.list.push(copy);
        return 'unknown';
      case 'unknown-present-foreign':
        this.list.push(copy);
        await this.#appendForeign();
        return 'unknown';
      case 'unknown-absent':
        return 'unknown';
      case 'unknown-foreign':
        await this.#appendForeign();
        return 'unknown';
      case 'no-space':
        throw new BatonError('NO_SPACE', 'no space', { retryable: true });
    }
  }

  async #appendForeign(): Promise<void> {
    this.#epoch += 1;
    this.list.push(...(await this.foreign!(this.head + 1, this.#epoch)));
  }

  async *entries(after: number): AsyncGenerator<LogEntry, void, undefined> {
    await Promise.resolve();
    yield* this.list.slice(after);
  }

  trim(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The log with a file for payloads that were accepted. */
export function openScripted(log: ScriptedLog, layer: FileLayer): OpenedLog {
  const path = '/payloads';
  const file: LayerFile = layer.open(path, 'create');
  let end = 0;
  const place = ({ payload }: LogEntry): { readonly file: number; readonly offset: number } => {
    const offset = end;
    file.write(payload, offset);
    end += payload.length;
    return { file: 1, offset };
  };
  const reserve = (): void => {
    if (log.isFull) throw new BatonError('NO_SPACE', 'no space for a copy', { retryable: true });
  };
  const places = { place, reserve, forget: () => undefined };
  return {
    log,
    places,
    close: () => Promise.resolve(),
    pathOf: () => path,
    bytes: () => 0,
    prepare: () => Promise.resolve(),
  };
}
