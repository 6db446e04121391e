import { randomBytes } from 'node:crypto';
import { BatonError, type ErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { spawnChild } from '@batondb/core/process/child';
import { formatHost } from './endpoint.ts';
import { type CopyOptions, defaultOptions } from './options.ts';
import { FarOutput } from './remote/far-reports.ts';
import { forgetCommand } from './remote/forget-script.ts';
import { type RemoteRequest, remoteScript } from './remote/ssh.ts';
import { explainSshFailure } from './remote/ssh-failure.ts';

/** An agent that had been carried to a host, and whether it was removed. */
export type ForgottenAgent = {
  readonly path: string;
  readonly bytes: number;
  readonly removed: boolean;
  /** Why it was not removed. */
  readonly reason?: string;
};

/** What became of the agents on one host; `error` when it could not be asked. */
export type ForgetResult = {
  readonly host: string;
  readonly agents: readonly ForgottenAgent[];
  readonly error?: ErrorRecord;
};

/** Time for a host to remove what is there; a directory of 130 MB is gone in less than a second. */
const forgetMsMax = 120_000;

/**
 * Removes the agents that were carried to some hosts, of all versions, and the directories they lay in. One that runs
 * stays. All hosts are asked at once, and one that does not answer is told in its result.
 */
export async function forget(
  hosts: readonly RemoteRequest['endpoint'][],
  options: Partial<CopyOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<readonly ForgetResult[]> {
  const { ssh } = { ...defaultOptions, ...options };
  const either = AbortSignal.any([signal, AbortSignal.timeout(forgetMsMax)]);
  const results = await Promise.all(
    hosts.map(async (endpoint): Promise<ForgetResult> => {
      const host = formatHost(endpoint);
      try {
        return { host, agents: await forgetOn({ ssh, agent: 'baton', sudo: false, endpoint }, either) };
      } catch (error) {
        return { host, agents: [], error: toErrorRecord(error) };
      }
    }),
  );
  signal.throwIfAborted();
  return results;
}

async function forgetOn(request: RemoteRequest, signal: AbortSignal): Promise<ForgottenAgent[]> {
  const token = randomBytes(8).toString('hex');
  await using child = await spawnChild(remoteScript(request, forgetCommand(token)), { detached: true });
  const onAbort = () => void child.terminate(0);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const agents: ForgottenAgent[] = [];
    let isWhole = false;
    for await (const { kind, text } of new FarOutput(child.stdout as AsyncIterable<Buffer, void>, token).reports()) {
      if (kind === 'REMOVED' || kind === 'KEPT') agents.push(readAgent(kind === 'REMOVED', text));
      if (kind === 'END') isWhole = true;
    }
    if (isWhole) return agents;
    const host = formatHost(request.endpoint);
    if (signal.aborted) throw new BatonError('UNREACHABLE', 'it did not answer in time', { host, retryable: true });
    throw explainSshFailure(request, await child.exited);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** `KIB PATH`, and after a tab the reason. */
function readAgent(removed: boolean, text: string): ForgottenAgent {
  const blank = text.indexOf(' ');
  const [path = '', reason] = text.slice(blank + 1).split('\t');
  const bytes = Number(text.slice(0, blank)) * 1024;
  return { path, bytes, removed, ...(reason === undefined ? {} : { reason }) };
}
