import type { Call } from './contract/call.ts';
import type { Leftovers } from './leftovers.ts';
import type { ServerLog } from './report/log.ts';
import type { Progress } from './report/progress.ts';
import type { StatusFile } from './report/status-file.ts';
import type { ServerOptions } from './settings/server-options.ts';
import type { Settings } from './settings/settings.ts';
import type { Key } from './transfer-key.ts';
import type { Certified } from './wire/certified.ts';

/** What both roles work with. */
export type TransferContext = {
  readonly call: Call;
  readonly settings: Settings;
  readonly server: ServerOptions;
  readonly key: Key;
  /** Where an authority has to vouch for both sides. */
  readonly certified: Certified | undefined;
  readonly log: ServerLog;
  readonly progress: Progress;
  readonly status: Pick<StatusFile, 'tell'>;
  readonly leftovers: Leftovers;
  /** Says a line of the contract to the server. */
  readonly say: (line: string) => void;
};

/** What proves both sides to each other, for people. */
export function proofsOf({ key, certified }: Pick<TransferContext, 'key' | 'certified'>): string {
  if (certified === undefined) return key.origin;
  const asked = `certificates, as ${certified.demand} demands`;
  return key.bytes === undefined ? asked : `${key.origin}, and by ${asked}`;
}
