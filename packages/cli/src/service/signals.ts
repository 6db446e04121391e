import { exitCodes } from '../exit-codes.ts';
import type { ServiceLog } from './log.ts';

/** What signals ask of a server. */
export type ServiceSignals = {
  /** Resolves with the name of the first signal that asks it to stop. A second one ends the process at once. */
  readonly stopped: Promise<string>;
  /** Says that there is something to be ended in order, and what SIGHUP does from now on; before it does nothing. */
  begin(reload: () => void): void;
};

const stopCodes = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const;

/** Takes over SIGINT, SIGTERM and SIGHUP. Until something has begun nothing can be lost, and the first one ends the process at once. */
export function watchService(log: ServiceLog): ServiceSignals {
  const { promise, resolve } = Promise.withResolvers<string>();
  let hasBegun = false;
  let isStopping = false;
  let reload = (): void => undefined;
  for (const [name, code] of Object.entries(stopCodes)) {
    process.on(name, () => {
      if (hasBegun && !isStopping) {
        isStopping = true;
        return resolve(name);
      }
      log.warn({ signal: name }, `${name} ${hasBegun ? 'again' : 'before anything was begun'}: ending at once`);
      process.exit(code);
    });
  }
  process.on('SIGHUP', () => reload());
  return {
    stopped: promise,
    begin: (given) => {
      hasBegun = true;
      reload = given;
    },
  };
}
