import { toBase64 } from './bytes.ts';
import type { Abandoned } from './control/messages.ts';
import { AgentSession } from './coordinator/session.ts';
import type { Endpoint } from './endpoint.ts';
import { type CopyOptions, defaultOptions } from './options.ts';

/** What an abandoned copy left in a directory, and whether it was removed. */
export type CleanResult = Abandoned;

/**
 * Finds what abandoned copies left in a directory, on this machine or elsewhere, and removes it, or with `dryRun` only lists
 * it. What a copy is at work on stays. Throws BatonError.
 */
export async function clean(
  directory: Endpoint,
  options: Partial<CopyOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<readonly CleanResult[]> {
  const whole = { ...defaultOptions, ...options };
  await using session = await AgentSession.start(directory, whole, signal);
  const { found } = await session.request('clean', { directory: toBase64(directory.path), dryRun: whole.dryRun });
  return found;
}
