import type { Call } from './contract/call.ts';
import type { Leftovers } from './leftovers.ts';
import type { ServerLog } from './report/log.ts';
import type { Progress } from './report/progress.ts';
import type { StatusFile } from './report/status-file.ts';
import type { ServerOptions } from './settings/server-options.ts';
import type { Settings } from './settings/settings.ts';
import type { Key } from './transfer-key.ts';

/** What both roles work with. */
export type TransferContext = {
  readonly call: Call;
  readonly settings: Settings;
  readonly server: ServerOptions;
  readonly key: Key;
  readonly log: ServerLog;
  readonly progress: Progress;
  readonly status: Pick<StatusFile, 'tell'>;
  readonly leftovers: Leftovers;
  /** Says a line of the contract to the server. */
  readonly say: (line: string) => void;
};
