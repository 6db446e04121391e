import type { WasmModule } from '../engine/web-assembly.ts';
import type { NodeSettings } from './options.ts';

/** What a node's threads are started with. */
export type ThreadData = {
  readonly directory: string;
  readonly adopt: readonly string[];
  readonly settings: NodeSettings;
  readonly index: SharedArrayBuffer;
  readonly module: WasmModule;
};
