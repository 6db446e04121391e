import type { GuardSettings } from '@batondb/service/guard';
import type { TokenGate } from '@batondb/service/tokens/gate';
import type { Databases } from '../databases.ts';
import type { ReceivingBudget } from './body.ts';
import type { HttpStreams } from './http-streams.ts';
import type { ServerMetrics } from './metrics.ts';
import type { ServerSettings } from './settings.ts';

/** What every request of a server has to do with. */
export type Context = {
  readonly databases: Databases;
  readonly settings: ServerSettings;
  readonly gate: TokenGate;
  readonly budget: ReceivingBudget;
  readonly streams: HttpStreams;
  readonly metrics: ServerMetrics;
  /** The checks of senders, which depend on whether tokens are needed by now. */
  readonly guard: () => GuardSettings;
  /** From then on nothing new begins. */
  readonly isStopping: () => boolean;
  /** What the server itself says at /status. */
  readonly status: () => Readonly<Record<string, unknown>>;
  /** Told of errors that are the server's own fault. */
  readonly onFault: (error: unknown) => void;
};
