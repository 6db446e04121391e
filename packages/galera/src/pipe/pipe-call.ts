import { BatonError } from '@batondb/core/errors';
import { useCertificates } from '../certificates/use.ts';
import { type Call, parseCall } from '../contract/call.ts';
import { type ReadSettings, readSettings } from '../settings/settings.ts';
import { findKey } from '../transfer-key.ts';
import type { Certified } from '../wire/certified.ts';

/** What a method of somebody's own asks for: words of the server's own form, and a program with its arguments behind `--`. */
export type PipeCall = {
  readonly call: Call;
  readonly settings: ReadSettings['settings'];
  /** Undefined where the session secret alone is to count. */
  readonly key: Uint8Array | undefined;
  readonly certified: Certified | undefined;
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
  const { settings, demand, server } = await readSettings(call, signal);
  const certified = await useCertificates(demand, call);
  return { call, settings, key: findKey(call, settings, server, certified).bytes, certified, command };
}
