import { BatonError } from '@batondb/core/errors';
import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import { isTokenStale, toEtcdError } from './failures.ts';
import { limits } from './limits.ts';
import { type MethodName, methodOf, openChannel } from './service.ts';

// Calls to whichever member answers. Nothing is sent twice, unless the caller says that it may be.

/** How to get in. */
export type EtcdAccess = {
  /** `host:port`, of which any one will do. */
  readonly endpoints: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** PEM. Undefined: no TLS. `ca` undefined: the authorities that Node trusts. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: string };
  /** Default: limits.requestMs. */
  readonly requestMs?: number;
};

type Member = { readonly endpoint: string; readonly channel: Client };

/** How a call is made. `isRepeatable`: asking twice does no harm, so a member that fails is followed by the next. */
export type UnaryOptions = {
  readonly isRepeatable: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** Channels to all members of a cluster. */
export class Members implements Disposable {
  readonly #access: EtcdAccess;
  readonly #members: readonly Member[];
  #current = 0;
  #token: Promise<string> | undefined;

  constructor(access: EtcdAccess) {
    const { tls, endpoints } = access;
    const channel =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(bytesOf(tls.ca), bytesOf(tls.key), bytesOf(tls.certificate));
    this.#access = access;
    this.#members = endpoints.map((endpoint) => ({ endpoint, channel: openChannel(endpoint, channel) }));
  }

  get endpoints(): readonly string[] {
    return this.#access.endpoints;
  }

  /** Calls a method of the present member, or of another one that can be connected to. Throws the BatonErrors of failures.ts; NotSent. */
  async call<R>(name: MethodName, request: object, options: UnaryOptions): Promise<R> {
    let failure: unknown;
    // A connection that has just broken deserves a second one, also where there is one member only.
    for (let attempt = 0; attempt < Math.max(2, this.#members.length); attempt++) {
      const member = await this.#connected(options.signal);
      try {
        return await this.callMember<R>(member, name, request, options);
      } catch (error) {
        failure = error;
        if (!isMembersFault(error)) throw error;
        this.#leave(member);
        if (!options.isRepeatable) throw error;
      }
    }
    throw failure;
  }

  /** Calls a method of every member; those that fail say why. */
  async callAll<R>(name: MethodName, request: object, timeoutMs?: number): Promise<PromiseSettledResult<R>[]> {
    const options = { isRepeatable: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return await Promise.allSettled(this.#members.map((member) => this.callMember<R>(member, name, request, options)));
  }

  /** Opens a stream to a member that can be connected to. The caller ends it. */
  async open<Q extends object, R>(
    name: MethodName,
    signal: AbortSignal,
  ): Promise<{ readonly stream: ClientDuplexStream<Q, R>; readonly what: string; readonly fail: () => void }> {
    const member = await this.#connected(signal);
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    const metadata = await this.#metadata(member);
    // A member that has lost its leader ends the stream instead of being silent.
    metadata.set('hasleader', 'true');
    const stream = member.channel.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => object,
      metadata,
    ) as unknown as ClientDuplexStream<Q, R>;
    return { stream, what: describe(name, member), fail: () => this.#leave(member) };
  }

  async callMember<R>(member: Member, name: MethodName, request: object, options: UnaryOptions): Promise<R> {
    try {
      return await this.#unary<R>(member, name, request, options);
    } catch (error) {
      // Only an etcd that did nothing says so: the same once more, with a new token.
      if (!isTokenStale(error) || this.#access.user === undefined) throw toFailure(error, name, member);
    }
    this.#token = undefined;
    return await this.#unary<R>(member, name, request, options).catch((error: unknown) => {
      throw toFailure(error, name, member);
    });
  }

  [Symbol.dispose](): void {
    for (const { channel } of this.#members) channel.close();
  }

  async #unary<R>(member: Member, name: MethodName, request: object, options: UnaryOptions): Promise<R> {
    const metadata = name === 'Auth/Authenticate' ? new Metadata() : await this.#metadata(member);
    return await this.#send<R>(member, name, request, metadata, options);
  }

  #send<R>(
    { channel }: Member,
    name: MethodName,
    request: object,
    metadata: Metadata,
    { timeoutMs, signal }: UnaryOptions,
  ): Promise<R> {
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    const deadline = Date.now() + (timeoutMs ?? this.#access.requestMs ?? limits.requestMs);
    const callOptions: CallOptions = { deadline };
    return new Promise((resolve, reject) => {
      const call = channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        callOptions,
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(response as R);
          else reject(error);
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** The present member if it is connected, or the next one that can be. Throws UNREACHABLE when none can; then nothing was sent. */
  async #connected(signal: AbortSignal | undefined): Promise<Member> {
    for (let attempt = 0; attempt < this.#members.length; attempt++) {
      signal?.throwIfAborted();
      const member = this.#members[this.#current]!;
      const state = member.channel.getChannel().getConnectivityState(true);
      if (state === connectivityState.READY || (await isReady(member.channel))) return member;
      this.#leave(member);
    }
    throw new NotSent(this.endpoints);
  }

  #leave(member: Member): void {
    if (this.#members[this.#current] === member) this.#current = (this.#current + 1) % this.#members.length;
  }

  async #metadata(member: Member): Promise<Metadata> {
    const metadata = new Metadata();
    const { user, password = '' } = this.#access;
    if (user === undefined) return metadata;
    this.#token ??= this.#send<{ readonly token: string }>(
      member,
      'Auth/Authenticate',
      { name: user, password },
      new Metadata(),
      { isRepeatable: true },
    ).then(({ token }) => token);
    try {
      metadata.set('token', await this.#token);
    } catch (error) {
      this.#token = undefined;
      const { code, message, retryable, hint } = toFailure(error, 'Auth/Authenticate', member);
      // Nobody was let in, so nothing was asked.
      if (code !== 'ACCESS_DENIED' && retryable) throw new NotSent(this.endpoints, message);
      throw new BatonError(code, message, { retryable, ...(hint === undefined ? {} : { hint }) });
    }
    return metadata;
  }
}

/** No member could be connected to: whatever was to be asked was not sent. */
export class NotSent extends BatonError {
  constructor(endpoints: readonly string[], detail?: string) {
    const why = detail === undefined ? '' : `: ${detail}`;
    super('UNREACHABLE', `no etcd answers at ${endpoints.join(', ')}${why}`, {
      retryable: true,
      hint: 'look whether it runs, and whether this machine reaches it',
    });
  }
}

function bytesOf(pem: string | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

function isReady(channel: Client): Promise<boolean> {
  return new Promise((resolve) => {
    channel.waitForReady(Date.now() + limits.connectMs, (error) => resolve(error === undefined));
  });
}

function isMembersFault(error: unknown): boolean {
  return error instanceof BatonError && ['UNREACHABLE', 'TIMED_OUT', 'PROTOCOL'].includes(error.code);
}

function toFailure(error: unknown, name: MethodName, member: Member): BatonError {
  return toEtcdError(error, describe(name, member));
}

function describe(name: MethodName, { endpoint }: Member): string {
  return `etcd ${endpoint}: ${name.slice(name.indexOf('/') + 1)}`;
}
