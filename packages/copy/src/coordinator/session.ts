import { BatonError } from '@batondb/core/errors';
import { type Child, spawnChild } from '@batondb/core/process/child';
import { ControlChannel } from '../control/channel.ts';
import { readJsonFrames } from '../control/frames.ts';
import type { AgentEvent, Greeting, RequestName, RequestParams, RequestResult } from '../control/messages.ts';
import { parseEvent, parseGreeting } from '../control/schemas.ts';
import { type Endpoint, formatHost } from '../endpoint.ts';
import type { CopyOptions } from '../options.ts';
import { remoteCommand } from '../remote/ssh.ts';
import { explainSshFailure } from '../remote/ssh-failure.ts';

/** A login may ask slow directories and run slow profiles before the agent speaks. */
const greetingMsMax = 60_000;
const standardInput = 0;
/** For an agent to notice that its stdin has ended, before its process is ended. */
const goodbyeMs = 1_500;

/** A running agent and the conversation with it. */
export class AgentSession implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly greeting: Greeting;
  /** Settles when the conversation has ended, with the reason. */
  readonly ended: Promise<BatonError>;
  readonly #child: Child;
  readonly #channel: ControlChannel;
  #onEvent: (event: AgentEvent) => void = () => undefined;

  private constructor(endpoint: Endpoint, child: Child, greeting: Greeting, frames: AsyncIterable<unknown>) {
    this.endpoint = endpoint;
    this.greeting = greeting;
    this.#child = child;
    this.#channel = new ControlChannel(child.stdin, { event: (event) => this.#onEvent(parseEvent(event)) });
    this.ended = this.#channel.run(frames, child.stdout).then(() => this.#reason());
  }

  /**
   * Starts an agent: on this machine as a process, elsewhere over the remote shell. With `readsInput` it has our
   * standard input, to send it. Throws what preflight reports.
   */
  static async start(
    endpoint: Endpoint,
    options: CopyOptions,
    signal: AbortSignal,
    readsInput: boolean = false,
  ): Promise<AgentSession> {
    const argv = agentArguments(endpoint, options);
    const input = readsInput ? { descriptor3: standardInput } : {};
    const child = await spawnChild(argv, { detached: true, ...input });
    const onAbort = () => void child.terminate(0);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const frames = readJsonFrames(child.stdout, true);
      const first = await withTimeout(frames.next(), endpoint);
      signal.throwIfAborted();
      if (first.done === true) throw await explainEnd(endpoint, options, child);
      return new AgentSession(endpoint, child, parseGreeting(first.value), frames);
    } catch (error) {
      await child.terminate(0);
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Has events delivered to `listener` from now on. */
  listen(listener: (event: AgentEvent) => void): void {
    this.#onEvent = listener;
  }

  request<N extends RequestName>(name: N, params: RequestParams<N>): Promise<RequestResult<N>> {
    return this.#channel.request(name, params);
  }

  /** Ends the agent: it sees its stdin close; if that is not enough, its process (or remote shell) is ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close(new BatonError('INTERRUPTED', 'the coordinator has ended the conversation'));
    this.#child.stdin.end();
    const patience = new Promise((resolve) => setTimeout(resolve, goodbyeMs));
    await Promise.race([this.#child.exited, patience]);
    await this.#child.terminate(goodbyeMs);
  }

  #reason(): BatonError {
    const host = formatHost(this.endpoint);
    const why = this.#channel.endReason?.message ?? 'the conversation ended';
    return new BatonError('CONNECTION_LOST', why, { host, retryable: true });
  }
}

function agentArguments(endpoint: Endpoint, options: CopyOptions): string[] {
  const { host, user } = endpoint;
  if (host === undefined) return localArguments();
  const { ssh, agent } = options;
  return remoteCommand({ ssh, agent, sudo: usesSudo(host, options), endpoint: { host, user } });
}

function usesSudo(host: string, { sudo }: CopyOptions): boolean {
  return sudo === 'all' || sudo.includes(host);
}

/** The agent of this machine is this very program: same Node, same files. */
function localArguments(): string[] {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = new URL(`../agent/run.${ending}`, import.meta.url);
  const inherited = process.execArgv.filter((word) => /^(--conditions=|-C|--disable-warning=|--expose-gc$)/.test(word));
  return [process.execPath, ...inherited, script.pathname, 'agent'];
}

async function withTimeout<T>(value: Promise<T>, endpoint: Endpoint): Promise<T> {
  const host = formatHost(endpoint);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new BatonError('UNREACHABLE', `baton did not answer within ${greetingMsMax / 1000} s`, { host });
    timer = setTimeout(() => reject(error), greetingMsMax);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function explainEnd(endpoint: Endpoint, options: CopyOptions, child: Child): Promise<BatonError> {
  const exit = await child.exited;
  const { host, user } = endpoint;
  if (host === undefined) {
    return new BatonError(
      'CHILD_FAILED',
      `the agent on this machine ended with exit code ${exit.code ?? exit.signal}: ${exit.stderrTail}`,
    );
  }
  const { ssh, agent } = options;
  return explainSshFailure({ ssh, agent, sudo: usesSudo(host, options), endpoint: { host, user } }, exit);
}
