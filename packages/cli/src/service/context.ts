import type { Interruption } from '../interruption.ts';
import type { Output } from '../output.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the commands of a door run with. */
export type CommandContext = {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Environment;
  /** The user this process acts as. */
  readonly userId: number;
  /** Takes over signals for a command that is ended by them. A server and a shell have ways of their own. */
  readonly watchInterruption: () => Interruption;
};
