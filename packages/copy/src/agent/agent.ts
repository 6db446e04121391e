import { availableParallelism } from 'node:os';
import { BatonError } from '@batondb/core/errors';
import { lowerPriority } from '@batondb/core/files/priority';
import { toBatonError } from '@batondb/core/files/system-error';
import { dataVersions } from '@batondb/core/protocol/versions';
import { answerProbe } from '@batondb/core/transfer/receiver';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import type { Identity } from '@batondb/core/transport/certificate';
import type { Connection } from '@batondb/core/transport/transport';
import { fromBase64, fromHex } from '../bytes.ts';
import type { AgentEvent, RequestName, RequestParams, RequestResult } from '../control/messages.ts';
import { Firewall } from '../firewall/firewall.ts';
import { inspectBase } from './backup-base.ts';
import { checkBackup } from './backup-target.ts';
import { cleanDirectory } from './clean.ts';
import { HopSet } from './hops.ts';
import { inspectDirectory, jobOf } from './inspect.ts';
import { Inventory } from './inventory.ts';
import { type DataPort, openDataPort } from './listen.ts';
import { findReachable } from './probe.ts';
import { SourceRole } from './source-role.ts';
import { StreamRole } from './stream-role.ts';
import { TargetRole } from './target-role.ts';

/** Who takes part in a job, as told by the coordinator. */
export type Membership = {
  readonly jobId: Uint8Array;
  /** Our own number. */
  readonly member: number;
  /** Certificate fingerprints by number. */
  readonly members: readonly string[];
  readonly dataVersion: number;
};

/** How an agent tells its coordinator something. */
export type Report = (event: AgentEvent) => void;

/** Each request's answer, by name. */
type Answers = { readonly [N in RequestName]: (params: RequestParams<N>) => Promise<RequestResult<N>> };

/** More workers than this gain nothing that TLS on the main thread could carry. */
const workersMax = 4;

/** One host's part in a job: source or target, and relay in either case. */
export class Agent implements AsyncDisposable {
  readonly #identity: Identity;
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #answers: Answers;
  #pool: WorkerPool | undefined;
  #membership: Membership | undefined;
  #port: DataPort | undefined;
  #source: SourceRole | StreamRole | undefined;
  #target: TargetRole | undefined;
  #hops: HopSet | undefined;
  #inventory: Inventory | undefined;
  readonly #firewall = new Firewall();

  constructor(identity: Identity, report: Report, signal: AbortSignal) {
    this.#identity = identity;
    this.#report = report;
    this.#signal = signal;
    this.#answers = {
      scan: (params) => this.#scan(params),
      stream: (params) => this.#stream(params),
      checkBackup: (params) => checkBackup(params, this.#signal),
      release: async ({ units }) => this.#release(units),
      inspect: (params) => inspectDirectory(params, this.#workers()),
      inspectBase: (params) => inspectBase(params, this.#signal),
      listen: (params) => this.#listen(params),
      join: async (params) => this.#join(params),
      admit: (params) => this.#firewall.admit(params),
      probe: (params) => this.#probe(params),
      receive: (params) => this.#receive(params),
      expect: async ({ epoch }) => this.#expect(epoch),
      send: async (params) => this.#send(params),
      sourceDigest: async () => this.#sourceRole().digest(),
      verifySource: () => this.#sourceRole().verify(this.#signal),
      conclude: async () => this.#conclude(),
      clean: async ({ directory, dryRun }) => ({
        found: await cleanDirectory(fromBase64(directory), dryRun, this.#workers()),
      }),
      inventory: (params) => this.#beginInventory(params),
      inventoryBatch: async () => (this.#inventory ?? orThrow(early('inventory'))).next(),
    };
  }

  /** Answers a request of the coordinator, whose params have been checked. */
  async answer(name: RequestName, params: unknown): Promise<unknown> {
    const answer = this.#answers[name] as (params: unknown) => Promise<unknown>;
    try {
      return await answer(params);
    } catch (error) {
      throw toBatonError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // At the same time as the rest, and first: should we be killed meanwhile, its watchdog goes on.
    const closing = this.#firewall.close();
    this.#hops?.[Symbol.dispose]();
    await this.#port?.listener[Symbol.asyncDispose]();
    if (this.#source instanceof StreamRole) await this.#source[Symbol.asyncDispose]();
    await this.#target?.abandonStream();
    await this.#inventory?.[Symbol.asyncDispose]();
    // T8: the staging directory stays locked until nobody writes into it any more.
    await this.#pool?.[Symbol.asyncDispose]();
    await this.#target?.settled();
    this.#target?.[Symbol.dispose]();
    await closing;
  }

  async #scan(params: RequestParams<'scan'>): Promise<RequestResult<'scan'>> {
    const source = await SourceRole.scan(this.#workers(), params, this.#report);
    this.#source = source;
    return source.summary;
  }

  async #stream(params: RequestParams<'stream'>): Promise<RequestResult<'stream'>> {
    const source = await StreamRole.open(this.#workers(), params, this.#report);
    this.#source = source;
    return source.summary;
  }

  #release(units: number): RequestResult<'release'> {
    if (this.#source instanceof StreamRole) this.#source.supply.release(units);
    else this.#targetRole().release(units);
    return {};
  }

  async #listen({ port, bind }: RequestParams<'listen'>): Promise<RequestResult<'listen'>> {
    this.#port = await openDataPort({ port, bind, identity: this.#identity, allowed: () => this.#others() });
    void this.#serve(this.#port);
    return { port: this.#port.listener.port, addresses: this.#port.addresses };
  }

  async #serve(port: DataPort): Promise<void> {
    for await (const connection of port.listener) void this.#welcome(connection);
  }

  async #welcome(connection: Connection): Promise<void> {
    if (this.#target !== undefined) await this.#target.receiver.serve(connection, this.#signal);
    else if (this.#membership !== undefined) await answerProbe(connection, this.#expectation(this.#membership));
    else connection.destroy();
  }

  #expectation({ jobId, member, members }: Membership) {
    return { jobId, to: member, members, epoch: this.#target?.epoch ?? 0, versions: dataVersions };
  }

  #others(): ReadonlySet<string> {
    return new Set(this.#membership?.members.filter((_, number) => number !== this.#membership?.member) ?? []);
  }

  #join(params: RequestParams<'join'>): RequestResult<'join'> {
    const { dataVersion, member, members } = params;
    this.#membership = { jobId: fromBase64(params.jobId), member, members, dataVersion };
    this.#hops = new HopSet(this.#identity, this.#membership, this.#report);
    if (params.priority === 'low') lowerPriority();
    return {};
  }

  async #probe({ to, addresses, port }: RequestParams<'probe'>): Promise<RequestResult<'probe'>> {
    const membership = this.#joined();
    return { address: await findReachable(this.#identity, membership, { to, addresses, port }, this.#signal) };
  }

  async #receive(params: RequestParams<'receive'>): Promise<RequestResult<'receive'>> {
    const membership = this.#joined();
    this.#target = await TargetRole.open({
      pool: this.#workers(),
      directory: fromBase64(params.directory),
      job: jobOf(params),
      manifestDigest: fromHex(params.manifestDigest),
      manifestBytes: params.manifestBytes,
      verify: params.verify,
      isStream: params.isStream ?? false,
      backup: params.backup,
      expectation: () => this.#expectation(membership),
      report: this.#report,
      signal: this.#signal,
    });
    return {};
  }

  #send(params: RequestParams<'send'>): RequestResult<'send'> {
    const supply = this.#source?.supply ?? this.#target?.receiver.tree;
    if (supply === undefined || this.#hops === undefined) throw early('send');
    this.#hops.update(Promise.resolve(supply), this.#workers().size, params);
    if (this.#source instanceof StreamRole && params.hops.length > 0) this.#source.start(params.compression);
    return {};
  }

  #expect(epoch: number): RequestResult<'expect'> {
    this.#targetRole().expect(epoch);
    return {};
  }

  #conclude(): RequestResult<'conclude'> {
    this.#targetRole().conclude();
    return {};
  }

  async #beginInventory(params: RequestParams<'inventory'>): Promise<RequestResult<'inventory'>> {
    if (this.#inventory !== undefined) throw new BatonError('PROTOCOL', 'an inventory was begun already');
    this.#inventory = new Inventory(params, () => this.#workers());
    await this.#inventory.begin();
    return {};
  }

  #workers(): WorkerPool {
    this.#pool ??= new WorkerPool(Math.min(availableParallelism(), workersMax));
    return this.#pool;
  }

  #joined(): Membership {
    if (this.#membership === undefined) throw early('join');
    return this.#membership;
  }

  #sourceRole(): SourceRole | StreamRole {
    if (this.#source === undefined) throw early('scan');
    return this.#source;
  }

  #targetRole(): TargetRole {
    if (this.#target === undefined) throw early('receive');
    return this.#target;
  }
}

function orThrow(error: Error): never {
  throw error;
}

function early(missing: string): BatonError {
  return new BatonError('PROTOCOL', `the request came before ${missing}`);
}
