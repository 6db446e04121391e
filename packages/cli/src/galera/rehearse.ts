import { text } from 'node:stream/consumers';
import { isOpenssh, opensshOptions } from '@batondb/core/process/ssh';
import { formatBytes, formatDuration } from '@batondb/core/text/format';
import { quoteWord, splitWords } from '@batondb/core/text/words';
import { donateForRehearsal } from '@batondb/galera/rehearsal/donate';
import { type RehearsalReport, rehearse } from '@batondb/galera/rehearsal/rehearse';
import { parseBytes } from '@batondb/galera/settings/values';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import type { RehearseFlags } from './rehearse-command.ts';

export async function runRehearse(
  words: readonly string[],
  flags: RehearseFlags,
  { stdout, stderr, watchInterruption }: CommandContext,
): Promise<number> {
  const { signal } = watchInterruption();
  const ssh = splitWords(flags.ssh);
  const command = [flags.baton, 'galera', 'donate', ...(words.length === 0 ? [] : ['--', ...words])];
  const remote = [
    ...ssh,
    ...(isOpenssh(ssh) ? opensshOptions : []),
    flags.donor,
    `exec ${command.map(quoteWord).join(' ')}`,
  ];
  const report = await rehearse(
    {
      remote,
      directory: flags.dir,
      port: Number(flags.port),
      host: flags.address,
      prepareMemoryBytes: parseBytes('--use-memory', flags.useMemory),
      write: (line) => void stderr.writeLines([line]),
    },
    signal,
  );
  await stdout.writeLines(
    flags.json ? [jsonLine({ type: 'rehearsal', ...report }, Date.now())] : reportLines(flags, report),
  );
  return exitCodes.ok;
}

/** Pure. */
export function reportLines(
  { donor, dir }: RehearseFlags,
  { position, durationMs, bytes, donorLockedMs }: RehearsalReport,
): string[] {
  return [
    `${dir} is a prepared backup of ${donor} at ${position}`,
    `a transfer takes ${formatDuration(durationMs)} and ${formatBytes(bytes)} beside the old data`,
    `tables of the donor could not be changed for ${formatDuration(donorLockedMs)}`,
  ];
}

export async function runDonate(
  words: readonly string[],
  { environment, stderr, watchInterruption }: CommandContext,
): Promise<number> {
  const { signal } = watchInterruption();
  const request = await text(process.stdin);
  // sshd(8): the client's address comes first.
  const [loginHost] = (environment['SSH_CONNECTION'] ?? '').split(' ').filter((word) => word !== '');
  await donateForRehearsal({ words, request, loginHost, write: (line) => void stderr.writeLines([line]) }, signal);
  return exitCodes.ok;
}
