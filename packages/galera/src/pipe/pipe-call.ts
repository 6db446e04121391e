import { existsSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { type Call, parseCall } from '../contract/call.ts';
import { readKey } from '../node/key.ts';
import { type ReadSettings, readSettings } from '../settings/settings.ts';

/** What a method of somebody's own asks for: words of the server's own form, and a program with its arguments behind `--`. */
export type PipeCall = {
  readonly call: Call;
  readonly settings: ReadSettings['settings'];
  /** Undefined where the session secret alone is to count. */
  readonly key: Uint8Array | undefined;
  readonly command: readonly string[];
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the words. Throws USAGE, NOT_TRUSTED where nothing would prove the nodes, and what parseCall() and readSettings() throw. */
export async function readPipeCall(
  words: readonly string[],
  environment: Environment,
  signal: AbortSignal,
): Promise<PipeCall> {
  const end = words.indexOf('--');
  const command = end < 0 ? [] : words.slice(end + 1);
  if (command.length === 0) throw new BatonError('USAGE', 'there is no command behind --');
  const call = parseCall(words.slice(0, end), environment);
  const read = await readSettings(call, signal);
  return { call, settings: read.settings, key: keyOf(read), command };
}

/** The key file, else wsrep_sst_auth; nothing where the group's channel is encrypted, or an operator wants it so. Both nodes choose by the same rule. */
function keyOf({ settings, server }: ReadSettings): Uint8Array | undefined {
  const { keyFile, isKeyFileNamed, credentials, allowUnauthenticatedDonor } = settings;
  if (isKeyFileNamed || existsSync(keyFile)) return Buffer.from(readKey(keyFile));
  if (credentials !== undefined) return Buffer.from(`${credentials.user}:${credentials.password}`);
  if (server.isGroupEncrypted || allowUnauthenticatedDonor) return undefined;
  throw new BatonError('NOT_TRUSTED', `${keyFile} is not there, and nothing else proves the nodes to each other`, {
    hint: 'bring the key of another node here, or make the first one: baton galera key --create',
  });
}
