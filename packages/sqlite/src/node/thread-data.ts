import type { WasmModule } from '../engine/web-assembly.ts';
import type { NodeSettings } from './options.ts';
import type { NodeRole } from './role.ts';

/** What a node's threads are started with. */
export type ThreadData = {
  readonly directory: string;
  readonly adopt: readonly string[];
  readonly role: NodeRole;
  readonly settings: NodeSettings;
  /** The log keeps what is in no backup yet. */
  readonly hasBackups: boolean;
  readonly index: SharedArrayBuffer;
  /** Whether reads may be answered: see ReadGate. */
  readonly gate: SharedArrayBuffer;
  readonly module: WasmModule;
};
