import { exitCodes } from '../exit-codes.ts';
import type { ServiceLog } from './service-log.ts';

/** What signals ask of a server. */
export type ServiceSignals = {
  /** Resolves with the name of the first signal that asks it to stop. A second one ends the process at once. */
  readonly stopped: Promise<string>;
  /** What SIGHUP does. Before there is anything to reload it does nothing. */
  onReload(reload: () => void): void;
};

const stopCodes = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const;

/** Takes over SIGINT, SIGTERM and SIGHUP. Until the server is ready, the first one ends it, too: the log stands it like any crash. */
export function watchService(log: ServiceLog): ServiceSignals {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isStopping = false;
  let reload = (): void => undefined;
  for (const [name, code] of Object.entries(stopCodes)) {
    process.on(name, () => {
      if (isStopping) {
        log.warn({ signal: name }, `${name} again: ending at once`);
        process.exit(code);
      }
      isStopping = true;
      resolve(name);
    });
  }
  process.on('SIGHUP', () => reload());
  return {
    stopped: promise,
    onReload: (given) => {
      reload = given;
    },
  };
}
