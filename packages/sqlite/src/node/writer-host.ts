import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { Engine } from '../engine/engine.ts';
import type { WasmModule } from '../engine/web-assembly.ts';
import { limits } from '../limits.ts';
import type { FileLayer } from '../log/file-layer.ts';
import { ReadGate } from '../log/read-gate.ts';
import { blockBytes } from '../log/record.ts';
import { isHidden } from '../machine/hidden-name.ts';
import { LogFiles } from '../machine/log-files.ts';
import { Machine } from '../machine/machine.ts';
import { PageIndex, pageIndexMemory } from '../machine/page-index.ts';
import { Paths } from '../machine/paths.ts';
import type { Position } from '../machine/position.ts';
import { readState, type StateRecord, writeState } from '../machine/state-record.ts';
import { Store } from '../machine/store.ts';
import { decodeMessage } from '../replica/messages.ts';
import type { Pinned } from '../snapshot/pinned-state.ts';
import { nameFiles, takeFiles } from './database-files.ts';
import { Executor } from './executor.ts';
import { Importer } from './importer.ts';
import { checkName, checkPageBytes } from './names.ts';
import { type OpenedLog, type OpenLog, openFileLog, openFollowedLog } from './opened-log.ts';
import { type NodeSettings, pinsMax } from './options.ts';
import type { DatabaseInfo, NodeStatus } from './request.ts';
import { checkRole, forkEpoch, isNew, type NodeRole } from './role.ts';
import { openSharedLog } from './shared-log.ts';

// All of a node that writes, in one thread: the log, the state machine, the engine and its connections. Whoever holds it decides when to flush.

export type WriterHostOptions = {
  readonly directory: string;
  readonly adopt: readonly string[];
  readonly settings: NodeSettings;
  readonly index: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly layer: FileLayer;
  readonly module: WasmModule;
  /** Default: it leads. */
  readonly role?: NodeRole;
  /** Default: the file log, or a copy of the leader's. */
  readonly openLog?: OpenLog;
  /** Default: there are no backups. */
  readonly hasBackups?: boolean;
};

/** How often it is looked whether a large transaction has come to its end. */
const wholeLookMs = 5;

/** The writing side of a node. */
export class WriterHost {
  readonly executor: Executor;
  readonly machine: Machine;
  readonly importer: Importer;
  readonly #options: WriterHostOptions;
  readonly #paths: Paths;
  readonly #store: Store;
  readonly #logFiles: LogFiles;
  readonly #log: OpenedLog;
  readonly #opening = new Map<string, Promise<DatabaseInfo>>();
  readonly #gate: ReadGate;
  #contending: Promise<void> = Promise.resolve();
  #isClosing = false;
  #checkpointing: Promise<void> | undefined;
  #following: Promise<Position> = Promise.resolve({ epoch: 0, index: 0 });

  private constructor(options: WriterHostOptions) {
    const { layer, settings } = options;
    this.#options = options;
    this.#paths = new Paths(options.directory);
    for (const path of [this.#paths.log, this.#paths.pages]) layer.makeDirectory(path);
    const { role = { kind: 'lead' } } = options;
    const found = readState(layer, this.#paths);
    checkRole(found, role, options.directory);
    const record = takeFiles(layer, this.#paths, found, options.adopt);
    const { position } = record;
    const isForked = role.kind === 'promote' && record.follows !== undefined;
    const index = new PageIndex(options.index, { frames: settings.indexPages, pins: pinsMax });
    this.#gate = new ReadGate(options.gate);
    if (role.kind !== 'share') this.#gate.holdForever();
    // A follower says itself how old what it has is.
    this.#gate.isLeading = role.kind === 'follow';
    const openLog = options.openLog ?? (role.kind === 'follow' ? openFollowedLog : openFileLog);
    const checkpoint = isForked ? { ...position, epoch: forkEpoch(position.epoch) } : position;
    this.#log = openLog(layer, this.#paths, checkpoint, settings);
    if (options.hasBackups === true) this.#log.backedUp?.(0);
    this.#logFiles = new LogFiles(layer, this.#log.pathOf);
    const parts = { layer, paths: this.#paths, index, logFiles: this.#logFiles, overlayBytes: settings.overlayBytes };
    this.#store = new Store(parts, record);
    this.machine = new Machine({
      store: this.#store,
      log: this.#log.log,
      places: this.#log.places,
      gate: this.#gate,
      entryBytesMax: Math.min(this.#log.entryBytesMax ?? limits.entryBytesMax, settings.segmentBytes - blockBytes),
      onDrop: (database) => this.executor.forget(database),
      ...(role.kind === 'follow' ? { follows: role.url } : {}),
    });
    this.importer = new Importer(this.machine, (database) => this.executor.forget(database));
    const spill = { layer, directory: this.#paths.own, memoryBytes: settings.temporaryBytes };
    this.executor = new Executor(this.machine, new Engine(options.module, spill), settings);
  }

  /**
   * Opens a directory, applies its log, and takes the lead, unless another node has it. The caller holds the directory's lock. Throws
   * REFUSED when a follower's directory is to be led (R7).
   */
  static async open(options: WriterHostOptions, signal: AbortSignal): Promise<WriterHost> {
    if (options.role?.kind === 'follow') {
      await foldOwnLog(options, signal);
      return new WriterHost(options);
    }
    if (options.role?.kind === 'share') {
      const { log, open } = await openSharedLog(options.role.plan, options);
      try {
        const host = new WriterHost({ ...options, openLog: open });
        await host.#contend(signal);
        return host;
      } catch (error) {
        await log[Symbol.asyncDispose]();
        throw error;
      }
    }
    const host = new WriterHost(options);
    await host.machine.lead(signal);
    if (host.#store.record.follows !== undefined) await host.#endFollowing();
    await host.importer.drop().catch(toleratesFull);
    return host;
  }

  /** Leads whenever no other node does, for as long as the node is open (E4). Resolves when it leads, or waits, for the first time. */
  #contend(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#contending = this.#leadAgain(signal, resolve).catch(async (error: unknown) => {
        if (this.#isClosing) return;
        reject(error);
        this.machine.fail(error instanceof BatonError ? error : new BatonError('BUG', String(error), { cause: error }));
        await this.#log.resign?.();
      });
    });
  }

  async #leadAgain(signal: AbortSignal, begun: () => void): Promise<void> {
    while (!this.#isClosing) {
      const { lost } = await this.machine.lead(signal, begun);
      begun();
      if (lost === undefined) return;
      if (!lost.aborted) await once(lost, 'abort');
    }
  }

  /** Applies a message with entries of the leader's log. Throws DIVERGED, DIGEST_MISMATCH, PROTOCOL, NO_SPACE. */
  follow(message: Uint8Array): Promise<Position> {
    // Messages come before the one before them is applied, and none counts behind one that was not.
    this.#following = this.#following.then(() => this.#follow(message));
    return this.#following;
  }

  async #follow(message: Uint8Array): Promise<Position> {
    const batch = decodeMessage(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
    if (batch.type !== 'entries') throw new BatonError('PROTOCOL', `a message of type ${batch.type} is no batch`);
    return await this.machine.follow(batch.entries);
  }

  /** From now on the directory is a follower's, of that log. */
  async beginFollowing(logId: string, follows: string): Promise<void> {
    // A checkpoint that is under way writes what it read of the record.
    await this.#checkpointing;
    this.#following = Promise.resolve(this.#store.position);
    const { record } = this.#store;
    if (record.logId !== logId || record.follows !== follows) this.#replaceRecord({ ...record, logId, follows });
  }

  /** The first entry of the new epoch lasts before the record says that nobody is followed: no start in between leads under another one. */
  async #endFollowing(): Promise<void> {
    await this.machine.submit({ kind: 'checkpoint' });
    const { follows: _, ...record } = this.#store.record;
    this.#replaceRecord(record);
  }

  #replaceRecord(record: StateRecord): void {
    writeState(this.#options.layer, this.#paths, record);
    this.#store.record = record;
  }

  /** A database by its name, which is made when it is missing. Throws USAGE for what is no name, LIMIT. */
  openDatabase(name: string, pageBytes: number): Promise<DatabaseInfo> {
    const known = this.#store.find(name);
    if (known !== undefined) return Promise.resolve({ name, id: known.id, pageBytes: known.pageBytes });
    const opening =
      this.#opening.get(name) ?? this.#makeDatabase(name, pageBytes).finally(() => this.#opening.delete(name));
    this.#opening.set(name, opening);
    return opening;
  }

  /** Drops a database; its file is kept in `dropped/`. Throws NOT_FOUND. */
  async dropDatabase(name: string): Promise<Position> {
    const database = this.#store.find(name);
    if (database === undefined) throw new BatonError('NOT_FOUND', `there is no database ${name}`);
    this.machine.expectWritable();
    await this.machine.flush();
    this.executor.forget(database);
    return await this.machine.submit({ kind: 'drop', database: database.id });
  }

  /** Work that waits until nothing else is to do: the next segment, old snapshots, a checkpoint when the log is long. */
  async maintain(): Promise<void> {
    const { settings } = this.#options;
    this.executor.expire();
    this.#store.parts.index.evict(Math.ceil(settings.snapshotMsMax / 1000));
    await this.#log.prepare();
    if (this.#log.bytes() > settings.checkpointBytes) await this.checkpoint();
  }

  /**
   * Holds the newest state, in which no transaction is half there (B1), until its pin is freed. Throws LIMIT when all pins are taken, and BUSY
   * when a large transaction does not end.
   */
  async pinState(): Promise<Pinned> {
    const store = this.#store;
    const { index } = store.parts;
    const deadlineMs = performance.now() + this.#options.settings.transactionMsMax;
    while (!store.isWhole || !store.isSound) {
      if (performance.now() > deadlineMs) {
        throw new BatonError(
          'BUSY',
          `the log ends in the middle of a transaction since ${this.#options.settings.transactionMsMax} ms`,
          {
            retryable: true,
          },
        );
      }
      await setTimeout(wholeLookMs);
    }
    const pin = index.takePin();
    if (pin === undefined)
      throw new BatonError('LIMIT', 'there are as many readers as are possible', {
        retryable: true,
        hint: 'close some',
      });
    return { pin, snapshot: index.pin(pin, true), record: store.currentRecord() };
  }

  /** A verified backup holds everything through a position. */
  backedUp({ index }: Position): void {
    this.#log.backedUp?.(index);
  }

  /** Folds what can be folded. */
  checkpoint(): Promise<void> {
    this.#checkpointing ??= this.machine.checkpoint(true).finally(() => {
      this.#checkpointing = undefined;
    });
    return this.#checkpointing;
  }

  status(): NodeStatus {
    const { failure } = this.machine;
    const { logId, origins = [], follows, foldingThrough } = this.#store.record;
    return {
      logId,
      origins,
      role: this.#options.role?.kind === 'follow' ? 'follower' : this.machine.isLeading ? 'leader' : 'standby',
      soundFrom: this.#store.isSound ? 0 : (foldingThrough?.index ?? 0),
      ...(follows === undefined ? {} : { follows }),
      position: this.#store.position,
      checkpoint: this.#store.record.position,
      logBytes: this.#log.bytes(),
      databases: this.#store.databases
        .filter(({ name }) => !isHidden(name))
        .map(({ id, name, pageBytes, published }) => ({
          id,
          name,
          pageBytes,
          pageCount: published.pageCount,
          sequence: published.sequence,
          checksum: published.checksum.toString(16).padStart(16, '0'),
        })),
      sessions: this.executor.sessions,
      ...(failure === undefined ? {} : { failure: withHint(failure) }),
    };
  }

  /** Ends in order: open transactions are rolled back, all else is folded, and databases get their names. After a failure only memory is given back. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.executor[Symbol.dispose]();
    // What it could not drop the next start drops.
    await this.importer.drop().catch(() => undefined);
    this.machine.stop();
    await this.machine.flush();
    await this.#log.resign?.();
    await this.#contending;
    await this.#following.catch(() => undefined);
    await this.#checkpointing;
    const hasFailed = this.machine.failure !== undefined;
    if (!hasFailed) {
      this.#store.parts.index.evictAll();
      await this.machine.checkpoint(false);
    }
    const { record } = this.#store;
    const { isSound } = this.#store;
    const isFolded = record.position.index === this.#store.position.index;
    this.#store[Symbol.dispose]();
    this.#logFiles[Symbol.dispose]();
    await this.#log.close();
    if (!hasFailed && isFolded && isSound) nameFiles(this.#options.layer, this.#paths, record);
  }

  async #makeDatabase(name: string, pageBytes: number): Promise<DatabaseInfo> {
    checkName(name);
    checkPageBytes(pageBytes);
    await this.machine.submit({ kind: 'open', database: this.#store.nextDatabase, name, pageBytes });
    const made = this.#store.find(name);
    if (made === undefined) throw new BatonError('BUG', `the database ${name} was made and is not there`);
    return { name, id: made.id, pageBytes: made.pageBytes };
  }
}

/**
 * A directory that led until now has a log of its own, which has to be in the databases' files before the copy of another one takes its place.
 */
async function foldOwnLog(options: WriterHostOptions, signal: AbortSignal): Promise<void> {
  const { layer, settings } = options;
  const paths = new Paths(options.directory);
  layer.makeDirectory(paths.own);
  const record = readState(layer, paths);
  if (record.follows !== undefined || isNew(record)) return;
  const index = pageIndexMemory({ frames: settings.indexPages, pins: pinsMax });
  const gate = ReadGate.memory();
  const leader = await WriterHost.open({ ...options, index, gate, role: { kind: 'lead' } }, signal);
  await leader.close();
}

function withHint({ message, hint }: BatonError): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}

/** What an import has left can stay until there is space: it is in nobody's way. */
function toleratesFull(error: unknown): void {
  if (!(error instanceof BatonError && error.code === 'NO_SPACE')) throw error;
}
