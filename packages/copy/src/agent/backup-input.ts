import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseTool, type ReplicationGuard, Server, stopReplication } from '@batondb/mariadb';
import { type RunningBackup, startBackup } from '@batondb/mariadb/backup';
import { describeThread } from '@batondb/mariadb/replication/threads';
import type { IncrementalSource, StreamInput } from '../control/messages.ts';
import type { Report } from './agent.ts';
import type { FoundInput, OpenInput } from './stream-input.ts';

/** Files that the tool reads at the same time: one disk gives no more to more. */
const parallelFiles = 4;
/** Where the tool keeps small files: the process that made it is in its name. */
const temporaryPattern = /^baton-backup-(?<pid>\d+)-/;

type BackupInput = Extract<StreamInput, { kind: 'mariadb' }>;

/** Logs in at a server of this machine and finds the tool that fits it. Changes nothing. */
export async function findBackup(input: BackupInput, report: Report, signal: AbortSignal): Promise<FoundInput> {
  const { socketPath, defaultsFile, loginPath, stopReplica, incremental } = input;
  const options = {
    socketPath,
    ...(defaultsFile === undefined ? {} : { defaultsFile }),
    ...(loginPath === undefined ? {} : { loginPath }),
  };
  const server = await Server.connect(options, signal);
  const tool = await chooseTool(server.version, signal);
  const expectedBytes = await server.dataBytes(signal);
  const described = incremental === undefined ? {} : { incremental: await describe(server, signal) };
  const start = incremental?.fromLsn === undefined ? {} : { incrementalFromLsn: BigInt(incremental.fromLsn) };
  const open = async (ending: AbortSignal): Promise<OpenInput> => {
    await using undo = new AsyncDisposableStack();
    const guard = stopReplica ? undo.use(await stopReplication(server, ending)) : undefined;
    if (guard !== undefined) tell(report, 'stopped', guard);
    const temporaryDirectory = await makeTemporary();
    undo.defer(() => rm(temporaryDirectory, { recursive: true, force: true }));
    const options = { server, tool, parallel: parallelFiles, temporaryDirectory, ...start };
    const backup = undo.use(await startBackup(options, ending));
    return new BackupStream(backup, guard, report, undo.move());
  };
  return { expectedBytes, server: server.version, ...described, open };
}

/** What is compared with the bases. */
async function describe(server: Server, signal: AbortSignal): Promise<IncrementalSource> {
  const serverUuid = await server.uuid(signal);
  const lsn = await server.logSequenceNumber(signal);
  return {
    ...(serverUuid === undefined ? {} : { serverUuid }),
    ...(lsn === undefined ? {} : { serverLsn: String(lsn) }),
  };
}

/** A backup that runs, with the server's replication standing still for it if that was asked for. */
class BackupStream implements OpenInput {
  readonly content: AsyncIterable<Uint8Array>;
  readonly #backup: RunningBackup;
  readonly #guard: ReplicationGuard | undefined;
  readonly #report: Report;
  readonly #undo: AsyncDisposableStack;

  constructor(backup: RunningBackup, guard: ReplicationGuard | undefined, report: Report, undo: AsyncDisposableStack) {
    this.content = backup.stdout;
    this.#backup = backup;
    this.#guard = guard;
    this.#report = report;
    this.#undo = undo;
  }

  async finished(): Promise<void> {
    await this.#backup.done;
    await this.#restart();
  }

  /** Whatever happened: what was stopped runs again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }

  async #restart(): Promise<void> {
    if (this.#guard === undefined) return;
    await this.#guard.restart();
    tell(this.#report, 'started', this.#guard);
  }
}

function tell(report: Report, state: 'stopped' | 'started', { stopped }: ReplicationGuard): void {
  report({ type: 'replication', state, threads: stopped.map(describeThread) });
}

/** Makes a directory for the tool, and removes those of agents that were killed. */
async function makeTemporary(): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const pid = temporaryPattern.exec(name)?.groups?.['pid'];
    if (pid === undefined || (await isThere(`/proc/${pid}`))) continue;
    const path = join(tmpdir(), name);
    const { uid } = await stat(path);
    if (uid === process.geteuid?.()) await rm(path, { recursive: true, force: true });
  }
  return await mkdtemp(join(tmpdir(), `baton-backup-${process.pid}-`));
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
