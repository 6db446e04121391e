import { exitCodes } from '../exit-codes.ts';
import type { ServiceLog } from './service-log.ts';

/** What signals ask of a server. */
export type ServiceSignals = {
  /** Resolves with the name of the first signal that asks it to stop. A second one ends the process at once. */
  readonly stopped: Promise<string>;
  /** Says that the server is ready, and what SIGHUP does from now on; before it does nothing. */
  ready(reload: () => void): void;
};

const stopCodes = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const;

/** Takes over SIGINT, SIGTERM and SIGHUP. Until the server is ready nothing can be lost, and the first one ends it at once. */
export function watchService(log: ServiceLog): ServiceSignals {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isReady = false;
  let isStopping = false;
  let reload = (): void => undefined;
  for (const [name, code] of Object.entries(stopCodes)) {
    process.on(name, () => {
      if (isReady && !isStopping) {
        isStopping = true;
        return resolve(name);
      }
      log.warn({ signal: name }, `${name} ${isReady ? 'again' : 'before it was ready'}: ending at once`);
      process.exit(code);
    });
  }
  process.on('SIGHUP', () => reload());
  return {
    stopped: promise,
    ready: (given) => {
      isReady = true;
      reload = given;
    },
  };
}
