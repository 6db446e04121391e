import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { BatonError } from '@batondb/core/errors';
import { type Child, spawnChild } from '@batondb/core/process/child';
import { ControlChannel } from '../control/channel.ts';
import { readJsonFrames } from '../control/frames.ts';
import type { AgentEvent, Greeting, RequestName, RequestParams, RequestResult } from '../control/messages.ts';
import { parseEvent, parseGreeting } from '../control/schemas.ts';
import { type Endpoint, formatHost } from '../endpoint.ts';
import { autoAgent, type CopyOptions } from '../options.ts';
import { CarryConversation, type CarryListener } from '../remote/carry.ts';
import { carryCommand } from '../remote/carry-script.ts';
import { type RemoteRequest, remoteCommand, remoteScript } from '../remote/ssh.ts';
import { explainSshFailure } from '../remote/ssh-failure.ts';
import { isFitting } from './fitting.ts';

/** A login may ask slow directories and run slow profiles before the agent speaks. */
const greetingMsMax = 60_000;
const standardInput = 0;
/** For an agent to notice that its stdin has ended, before its process is ended. */
const goodbyeMs = 1_500;

/** What few agents have. */
type StartOptions = {
  /** It has our standard input, to send it. Default: false. */
  readonly readsInput?: boolean;
  /** Hears of an agent that is carried. Default: nobody. */
  readonly listener?: CarryListener;
};

const silent: CarryListener = { carrying: () => undefined, carried: () => undefined };

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
   * Starts an agent: on this machine as a process, elsewhere over the remote shell. With `agent: 'auto'` an installed one whose
   * version fits, else one that is carried there. Throws what preflight reports.
   */
  static async start(
    endpoint: Endpoint,
    options: CopyOptions,
    signal: AbortSignal,
    { readsInput = false, listener = silent }: StartOptions = {},
  ): Promise<AgentSession> {
    const { host, user } = endpoint;
    if (host === undefined || options.agent !== autoAgent) {
      return await AgentSession.#open(endpoint, agentLaunch(endpoint, options), signal, readsInput);
    }
    const request = { ssh: options.ssh, agent: autoAgent, sudo: usesSudo(host, options), endpoint: { host, user } };
    const first = new CarryConversation(request, listener, signal);
    const session = await AgentSession.#open(endpoint, carryLaunch(request, first, 'any'), signal).catch(
      (error: unknown) => {
        if (first.installed === undefined || !isOfVersion(error)) throw error;
      },
    );
    if (session !== undefined && (first.installed === undefined || isFitting(session.greeting))) return session;
    await session?.[Symbol.asyncDispose]();
    const second = new CarryConversation(request, listener, signal);
    return await AgentSession.#open(endpoint, carryLaunch(request, second, 'carried'), signal);
  }

  static async #open(
    endpoint: Endpoint,
    launch: Launch,
    signal: AbortSignal,
    readsInput: boolean = false,
  ): Promise<AgentSession> {
    const input = readsInput ? { descriptor3: standardInput } : {};
    const child = await spawnChild(launch.argv, { detached: true, ...input });
    const onAbort = () => void child.terminate(0);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const frames = readJsonFrames(await launch.open(child), true);
      const first = await withTimeout(frames.next(), endpoint);
      signal.throwIfAborted();
      if (first.done === true) throw await launch.explain(child);
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

/** How one agent is started, and why it did not. */
type Launch = {
  readonly argv: readonly string[];
  /** The output in which an agent speaks, when it is about to. */
  readonly open: (child: Child) => AsyncIterable<Buffer> | Promise<AsyncIterable<Buffer>>;
  readonly explain: (child: Child) => Promise<BatonError>;
};

function agentLaunch(endpoint: Endpoint, options: CopyOptions): Launch {
  const { host, user } = endpoint;
  const { ssh, agent } = options;
  const argv =
    host === undefined
      ? localArguments()
      : remoteCommand({ ssh, agent, sudo: usesSudo(host, options), endpoint: { host, user } });
  return { argv, open: ({ stdout }) => stdout, explain: (child) => explainEnd(endpoint, options, child) };
}

function carryLaunch(request: RemoteRequest, conversation: CarryConversation, how: 'any' | 'carried'): Launch {
  const token = randomBytes(8).toString('hex');
  return {
    argv: remoteScript(request, carryCommand({ token, how, sudo: request.sudo })),
    open: (child) => conversation.open(child, token),
    explain: (child) => conversation.explain(child),
  };
}

/** Whether an agent that is installed is too old, too new, or lacks the Node it needs: then another one is carried. */
function isOfVersion(error: unknown): boolean {
  return error instanceof BatonError && ['AGENT_MISSING', 'PROTOCOL', 'VERSION_MISMATCH'].includes(error.code);
}

function usesSudo(host: string, { sudo }: CopyOptions): boolean {
  return sudo === 'all' || sudo.includes(host);
}

/** The agent of this machine is this very program: same Node, same files. */
function localArguments(): string[] {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = new URL(`../agent/run.${ending}`, import.meta.url);
  const inherited = process.execArgv.filter((word) => /^(--conditions=|-C|--disable-warning=)/.test(word));
  return [process.execPath, ...inherited, fileURLToPath(script), 'agent'];
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
