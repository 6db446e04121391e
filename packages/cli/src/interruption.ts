import { BatonError } from '@batondb/core/errors';
import { exitCodes } from './exit-codes.ts';

// One abort signal for everything that ends a copy from outside: signals, a lost terminal, an output nobody reads.

/**
 * Time for an orderly end. Hosts notice the end of their connection by themselves, so a coordinator that hangs longer than
 * this leaves: everything has to be gone within 10 seconds.
 */
const orderlyMsMax = 8_000;

const signalCodes = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated, SIGHUP: exitCodes.hangup } as const;

/** What ends the running command from outside. */
export type Interruption = {
  readonly signal: AbortSignal;
  /** The exit code of what ended it; undefined while nothing did. */
  readonly exitCode: () => number | undefined;
  /** Ends it for a reason other than a signal. */
  readonly interrupt: (reason: string, exitCode: number) => void;
};

/** Takes over SIGINT, SIGTERM and SIGHUP: the first aborts, a second one leaves at once, as does an end that takes too long. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const interrupt = (reason: string, code: number): void => {
    if (exitCode !== undefined) return;
    exitCode = code;
    setTimeout(() => process.exit(code), orderlyMsMax).unref();
    controller.abort(new BatonError('INTERRUPTED', reason));
  };
  for (const [name, code] of Object.entries(signalCodes)) {
    process.on(name, () => {
      if (exitCode !== undefined) process.exit(exitCode);
      interrupt(`ended by ${name}`, code);
    });
  }
  return { signal: controller.signal, exitCode: () => exitCode, interrupt };
}
