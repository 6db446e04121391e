import type { Interruption } from '../interruption.ts';
import type { Output } from '../output.ts';
import type { Environment } from './places.ts';

/** What commands of `baton sqlite` run with. */
export type SqliteContext = {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Environment;
  /** The user this process acts as. */
  readonly userId: number;
  /** Takes over signals for a command that is ended by them. A server and a shell have ways of their own. */
  readonly watchInterruption: () => Interruption;
};
