import { notifyServiceManager } from '@batondb/core/process/service-manager';
import type { Environment } from './context.ts';
import type { ServiceLog } from './log.ts';

// What a server says to systemd, where that has started it: sd_notify(3), systemd.service(5).

/** Tells assignments such as `READY=1`. Does nothing where nobody has asked to be told. */
export type TellManager = (...assignments: readonly string[]) => void;

/** A manager that does not listen is no reason to stop. */
export function managerOf(environment: Environment, log: ServiceLog): TellManager {
  const socketPath = environment['NOTIFY_SOCKET'];
  if (socketPath === undefined || socketPath === '') return () => undefined;
  return (...assignments) => {
    try {
      notifyServiceManager(socketPath, assignments);
    } catch (error) {
      log.warn({ err: error }, `the service manager was not told ${assignments.join(' ')}`);
    }
  };
}

/** What goes before a reload; READY=1 comes after it. The time lets the manager tell this reload from an earlier one. */
export function reloading(): readonly string[] {
  return ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`];
}
