import type { ForgetResult } from '@batondb/copy';
import { formatBytes } from '@batondb/core/text/format';

/** What was carried to a host and what became of it. */
export function forgetLines({ host, agents, error }: ForgetResult): string[] {
  if (error !== undefined) {
    return [
      `problem  ${host}: ${error.message}`,
      ...(error.hint === undefined ? [] : [`         hint: ${error.hint}`]),
    ];
  }
  if (agents.length === 0) return [`nothing  ${host}: no baton was carried there`];
  return agents.map(({ path, bytes, removed, reason }) =>
    removed ? `removed  ${host}: ${path}, ${formatBytes(bytes)}` : `kept     ${host}: ${path}: ${reason}`,
  );
}
