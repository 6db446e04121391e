import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { formatCount } from '@batondb/core/text/format';
import { Replicator, type ReplicatorOptions, type SyncEvent } from '@batondb/sync';
import { defaultOperations } from '@batondb/sync/operations/client';
import { type OperationsServer, startOperations } from '@batondb/sync/operations/server';
import { PostgresSource } from '@batondb/sync/postgres/source';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import { protectionOf } from '../service/listen-options.ts';
import { makeServiceLog, type ServiceLog } from '../service/log.ts';
import { managerOf, reloading, type TellManager } from '../service/manager.ts';
import { watchService } from '../service/signals.ts';
import { eventLine } from './events.ts';
import { mappingOf, publicationsOf } from './options.ts';
import { openSink, sourcePlace } from './places.ts';
import { DumpProgress } from './progress.ts';
import type { SyncFlags } from './run-command.ts';
import { makeSpillDirectory } from './spill-directory.ts';

/** Syncs until all that was asked for is done or a signal comes, and returns the exit code. */
export async function runSync(flags: SyncFlags, context: CommandContext): Promise<number> {
  const voice = new Voice(flags, context);
  const signals = watchService(voice.log);
  const tell = managerOf(context.environment, voice.log);
  const stop = new AbortController();
  await using started = new AsyncDisposableStack();
  const replicator = await makeReplicator(flags, context, { voice, tell, started });
  voice.watch(replicator);
  started.use(voice);
  const server = await listen(replicator, flags, voice.log, started);
  signals.begin(() => reload(server, voice.log, tell));
  void signals.stopped.then((name) => {
    tell('STOPPING=1');
    voice.log.info({ signal: name }, `${name}: stopping`);
    stop.abort();
  });
  // A source or sink that is not there yet is waited for by the sync itself, not by starting it anew.
  tell('READY=1');
  await voice.ready(replicator, server?.url);
  try {
    await replicator.run(stop.signal);
  } catch (error) {
    await voice.failed(error);
    throw error;
  }
  await voice.done(replicator);
  return exitCodes.ok;
}

type Parts = { readonly voice: Voice; readonly tell: TellManager; readonly started: AsyncDisposableStack };

async function makeReplicator(
  flags: SyncFlags,
  { environment }: CommandContext,
  { voice, tell, started }: Parts,
): Promise<Replicator> {
  const { address, passwordFor } = sourcePlace(flags, environment);
  const { abandonSlotAt, dumpOnly, dump, until, jobs } = flags;
  const sink = await openSink(flags, address.database, environment);
  const source = new PostgresSource({
    address,
    passwordFor,
    slot: flags.slot,
    publications: publicationsOf(flags),
    spillDirectory: await makeSpillDirectory(flags.spillDir, started),
    ...(abandonSlotAt === undefined ? {} : { abandonSlotAtBytes: abandonSlotAt }),
    onNotice: (message) => voice.log.warn({}, message),
  });
  const options: ReplicatorOptions = {
    name: flags.name ?? address.database,
    source,
    sink,
    mapping: mappingOf(flags),
    phases: dumpOnly ? 'dump' : dump ? 'both' : 'sync',
    until,
    jobs,
    onEvent: (event) => {
      if (event.kind === 'phase') tell(`STATUS=${event.phase}: ${event.detail}`);
      voice.event(event);
    },
  };
  return new Replicator(options);
}

/** What ends by itself is looked at by who started it: it listens only where it is told to. */
async function listen(
  replicator: Replicator,
  flags: SyncFlags,
  log: ServiceLog,
  started: AsyncDisposableStack,
): Promise<OperationsServer | undefined> {
  const address = flags.listen ?? (flags.dumpOnly ? 'none' : defaultOperations);
  if (address === 'none') return undefined;
  const starting = startOperations(replicator, {
    listen: address,
    ...(flags.tokenFile === undefined ? {} : { tokenPath: flags.tokenFile }),
    ...protectionOf(flags),
    hosts: flags.allowHost,
    onFault: (fault) => log.error({ err: fault }, 'a request failed by an error of the server itself'),
  });
  return started.use(await starting.catch(withListenHint));
}

/** Two syncs of one machine have one usual address: that is what most often takes it. */
function withListenHint(error: unknown): never {
  if (!(error instanceof BatonError) || error.code !== 'PORT_TAKEN') throw error;
  const hint = 'every sync of a machine needs an address of its own, such as --listen 127.0.0.1:6482, or --listen none';
  throw new BatonError('PORT_TAKEN', error.message, { hint, cause: error });
}

function reload(server: OperationsServer | undefined, log: ServiceLog, tell: TellManager): void {
  tell(...reloading());
  try {
    server?.reloadCertificate();
    log.info({}, 'SIGHUP: the certificate was read again');
  } catch (error) {
    log.error({ err: error }, 'SIGHUP: the certificate was not taken, the earlier one goes on');
  }
  tell('READY=1');
}

/** What a sync says: events and their failures in a log on standard error, or all as JSON on standard output. */
class Voice implements Disposable {
  readonly log: ServiceLog;
  readonly #flags: SyncFlags;
  readonly #context: CommandContext;
  #progress: DumpProgress | undefined;

  constructor(flags: SyncFlags, context: CommandContext) {
    this.#flags = flags;
    this.#context = context;
    const { stderr } = context;
    const write = (text: string): Promise<void> => {
      if (!this.#isTerminal || this.#progress === undefined) return stderr.write(text);
      this.#progress.above(text);
      return Promise.resolve();
    };
    this.log = makeServiceLog({ form: flags.json ? 'json' : 'plain', level: flags.logLevel }, { write });
  }

  get #isTerminal(): boolean {
    const { stderr, environment } = this.#context;
    return !this.#flags.json && stderr.isTerminal && environment['TERM'] !== 'dumb';
  }

  /** Shows how far its dumps are. */
  watch(replicator: Replicator): void {
    this.#progress = new DumpProgress({
      status: () => replicator.status(),
      terminal: this.#isTerminal ? this.#context.stderr : undefined,
      tell: ({ tables, rowsPerSecond }, line) => {
        if (this.#flags.json) void this.#json({ type: 'progress', tables, rowsPerSecond });
        else this.log.info({}, line);
      },
    });
  }

  event(event: SyncEvent): void {
    // What cannot be written as fast as it comes is kept by the stream: events are few.
    if (this.#flags.json) return void this.#json({ type: event.kind, ...event, kind: undefined });
    const { level, text, err } = eventLine(event);
    this.log[level](err === undefined ? {} : { err: fromErrorRecord(err) }, text);
  }

  async ready(replicator: Replicator, url: string | undefined): Promise<void> {
    const { name, source, sink } = replicator.status();
    if (this.#flags.json) return await this.#json({ type: 'started', name, source, sink, url, pid: process.pid });
    const where = url === undefined ? '' : `; status at ${url}`;
    this.log.info({}, `sync ${name}: ${source} to ${sink}${where}`);
  }

  async done(replicator: Replicator): Promise<void> {
    this[Symbol.dispose]();
    const { position, counts } = replicator.status();
    if (this.#flags.json) return await this.#json({ type: 'done', position, counts });
    const dumped = counts.dumpedRows === 0 ? [] : [`${formatCount(counts.dumpedRows, 'row')} dumped`];
    const followed = counts.transactions === 0 ? [] : [`${formatCount(counts.transactions, 'transaction')} followed`];
    const what = [...dumped, ...followed];
    this.log.info({}, `stopped at ${position ?? 'no position'}${what.length === 0 ? '' : `: ${what.join(', ')}`}`);
  }

  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
    this.#progress = undefined;
  }

  /** For people the one who has asked for the sync says it. */
  async failed(error: unknown): Promise<void> {
    this[Symbol.dispose]();
    if (this.#flags.json) await this.#json({ type: 'error', error: toErrorRecord(error) });
  }

  #json(event: object): Promise<void> {
    return this.#context.stdout.writeLines([jsonLine(event, Date.now())]);
  }
}
