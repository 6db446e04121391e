import { BatonError } from '@batondb/core/errors';
import type { Child } from '@batondb/core/process/child';
import { openBundle } from '../bundle/bundle.ts';
import type { Pieces } from '../bundle/pieces.ts';
import { formatHost } from '../endpoint.ts';
import type { Carried, Carrying } from '../events.ts';
import { explainFarSide, type FarProblem, readProblem } from './carry-failure.ts';
import { FarOutput, type FarReport } from './far-reports.ts';
import { piecesForMachine } from './machine.ts';
import type { RemoteRequest } from './ssh.ts';
import { explainSshFailure } from './ssh-failure.ts';
import { upload } from './upload.ts';

// Our end of the conversation with the script of carry-script.ts:
//   its line                  our answer
//   INSTALLED path            none: an agent follows
//   MACHINE processor libc    `NAME ROOM`, or the end when nothing fits
//   CARRIED path              none: an agent follows
//   PLACE kind why, NOWHERE   none: it ends
//   WANTS directory           `BYTES DIGEST`, and the bundle
//   FAILED kind why           none: it ends

/** Hears of bundles. */
export type CarryListener = {
  readonly carrying: (carrying: Carrying) => void;
  readonly carried: (carried: Carried) => void;
};

/** How long nothing may happen before a host counts as hanging. Unpacking 130 MB onto a busy disk is allowed more. */
const silenceMsMax = { host: 60_000, packing: Number.POSITIVE_INFINITY, unpacking: 300_000 } as const;

/** A script says at most a line for each place and five more. */
const reportsMax = 20;

/** The start of one agent by the script. */
export class CarryConversation {
  /** Set when an agent that was installed on the host has been started. */
  installed: string | undefined;
  readonly #request: RemoteRequest;
  readonly #listener: CarryListener;
  readonly #signal: AbortSignal;
  readonly #problems: FarProblem[] = [];
  #pieces: Pieces | undefined;
  #sending: Promise<{ readonly bytes: number; readonly atMs: number }> | undefined;
  #started: string | undefined;
  #failure: Error | undefined;
  #awaited: keyof typeof silenceMsMax = 'host';
  #heardMs: number = performance.now();

  constructor(request: RemoteRequest, listener: CarryListener, signal: AbortSignal) {
    this.#request = request;
    this.#listener = listener;
    this.#signal = signal;
  }

  /**
   * Talks until an agent speaks, and returns its output. When that ends before, `explain` says why. Throws what is at fault on
   * this machine, and when the host falls silent.
   */
  async open(child: Child, token: string): Promise<AsyncIterable<Buffer>> {
    const output = new FarOutput(child.stdout as AsyncIterable<Buffer, void>, token);
    const fail = (error: unknown): Promise<void> => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      return child.terminate(0);
    };
    const watch = setInterval(() => this.#isSilent() && void fail(this.#silence()), 1000);
    const answers: Promise<void>[] = [];
    try {
      // Answers are not waited for: what the far side says meanwhile tells why it takes no more.
      for await (const report of output.reports()) {
        this.#hear('host');
        if (answers.length === reportsMax) throw tooMuch();
        answers.push(this.#answer(report, child).catch(fail));
      }
      await Promise.all(answers);
    } finally {
      clearInterval(watch);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return output.rest();
  }

  /** Why no agent speaks. */
  async explain(child: Child): Promise<BatonError> {
    const exit = await child.exited;
    const agent = this.#started ?? 'baton';
    return explainFarSide(this.#request, this.#problems) ?? explainSshFailure({ ...this.#request, agent }, exit);
  }

  async #answer({ kind, text }: FarReport, child: Child): Promise<void> {
    switch (kind) {
      case 'INSTALLED':
        this.installed = text;
        this.#started = text;
        break;
      case 'MACHINE':
        this.#pieces = piecesForMachine(text);
        child.stdin.write(`${this.#pieces.name} ${roomKib(this.#pieces)}\n`);
        break;
      case 'WANTS':
        this.#sending = this.#send(child, this.#pieces);
        await this.#sending;
        break;
      case 'CARRIED':
        this.#started = `${text}/bin/baton`;
        await this.#tellCarried(text);
        break;
      case 'PLACE':
      case 'FAILED':
        this.#problems.push(readProblem(kind, text));
        break;
    }
  }

  async #send(child: Child, pieces: Pieces | undefined): Promise<{ bytes: number; atMs: number }> {
    if (pieces === undefined || this.#sending !== undefined) throw tooMuch();
    this.#hear('packing');
    await using bundle = await openBundle(pieces);
    this.#hear('host');
    const host = formatHost(this.#request.endpoint);
    const atMs = performance.now();
    await upload(bundle, child, this.#signal, (sentBytes) => {
      this.#hear('host');
      this.#listener.carrying({ host, sentBytes, totalBytes: bundle.bytes });
    });
    this.#hear('unpacking');
    return { bytes: bundle.bytes, atMs };
  }

  /** Nothing to tell when it was there from before. */
  async #tellCarried(path: string): Promise<void> {
    const sent = await this.#sending;
    if (sent === undefined) return;
    this.#hear('host');
    const { bytes, atMs } = sent;
    const host = formatHost(this.#request.endpoint);
    this.#listener.carried({ host, bytes, path, durationMs: Math.round(performance.now() - atMs) });
  }

  #hear(awaited: keyof typeof silenceMsMax): void {
    this.#awaited = awaited;
    this.#heardMs = performance.now();
  }

  #isSilent(): boolean {
    return performance.now() - this.#heardMs > silenceMsMax[this.#awaited];
  }

  #silence(): BatonError {
    const seconds = silenceMsMax[this.#awaited] / 1000;
    const what = this.#awaited === 'unpacking' ? 'did not unpack baton' : 'did not answer';
    const host = formatHost(this.#request.endpoint);
    return new BatonError('UNREACHABLE', `it ${what} within ${seconds} s`, { host, retryable: true });
  }
}

function tooMuch(): BatonError {
  return new BatonError('PROTOCOL', 'what starts an agent there said more than it may');
}

/** Packed and unpacked at the same time, and what a file system adds. */
function roomKib(pieces: Pieces): number {
  return Math.ceil((pieces.contentBytes * 1.5) / 1024);
}
