import { setTimeout as delay } from 'node:timers/promises';
import { formatBytes, formatDuration } from '@batondb/core/text/format';
import { type Databases, formatPosition, type JoinProgress, type SqliteNode } from '@batondb/sqlite';
import type { CommandContext } from '../service/context.ts';
import type { ServiceLog } from '../service/log.ts';
import type { TellManager } from '../service/manager.ts';
import { TransferProgress } from './transfer-progress.ts';

// A replica that has nothing yet listens from its first moment, says at /ready that it is not ready, and shows here how it joins.

const lookMs = 100;
/** systemd starts a service anew that is not ready in time; while a snapshot comes, and is compared, it is asked for more. */
const extensionMs = 60_000;
const tellMs = 5_000;

/** What joining is shown with. */
export type JoiningPlace = {
  readonly node: SqliteNode;
  readonly databases: Databases;
  readonly isJson: boolean;
  readonly context: CommandContext;
  readonly log: ServiceLog;
  readonly tell: TellManager;
};

/**
 * Resolves when a node that had nothing is where its leader was, and one that had something can be read; at once for one that follows nobody. Throws
 * the signal's reason.
 */
export async function showJoining(place: JoiningPlace, signal: AbortSignal): Promise<void> {
  const { node, log } = place;
  if (node.leader === undefined) return;
  const isJoined = node.position.index === 0 ? catchUp(node) : () => place.databases.readiness().isReady;
  if (isJoined()) return;
  const startMs = performance.now();
  await showUntil(isJoined, place, signal);
  log.info({}, `joined at position ${formatPosition(node.position)} in ${formatDuration(performance.now() - startMs)}`);
}

/** Tells whether a node has come to where its leader was when the two had found each other. */
function catchUp(node: SqliteNode): () => boolean {
  let wanted: number | undefined;
  return () => {
    if (node.leader?.state === 'streaming') wanted ??= node.leader.position?.index;
    return wanted !== undefined && node.position.index >= wanted;
  };
}

async function showUntil(isDone: () => boolean, place: JoiningPlace, signal: AbortSignal): Promise<void> {
  using shown = new ShownJoining(place);
  while (!isDone()) {
    shown.look();
    await delay(lookMs, undefined, { signal });
  }
}

/** What has been shown so far. */
class ShownJoining implements Disposable {
  readonly #place: JoiningPlace;
  readonly #progress: TransferProgress;
  #failure: string | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(place: JoiningPlace) {
    const { context, isJson, log } = place;
    this.#place = place;
    const write = (line: string): void => log.info({}, line);
    this.#progress = new TransferProgress('snapshot', { isJson, event: 'joining', write }, context);
    log.info({}, `joining ${place.node.leader?.url}`);
  }

  look(): void {
    const { leader } = this.#place.node;
    if (leader?.snapshot !== undefined) this.#note(leader.snapshot);
    else if (leader?.failure !== undefined) this.#fail(leader.failure);
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }

  #note({ doneBytes, totalBytes }: JoinProgress): void {
    this.#progress.note(doneBytes, totalBytes);
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < tellMs) return;
    this.#toldMs = nowMs;
    const status = `joining: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    this.#place.tell(`STATUS=${status}`, `EXTEND_TIMEOUT_USEC=${extensionMs * 1000}`);
  }

  /** It is tried again by itself; a person wants to know each reason once. */
  #fail(failure: string): void {
    if (failure === this.#failure) return;
    this.#failure = failure;
    this.#place.log.warn({}, `not joined, and trying again: ${failure}`);
    this.#place.tell(`STATUS=not joined, and trying again: ${failure}`);
  }
}
