// A node without threads, on a layer and a log of a test's choice.

import type { SqlArguments } from '../src/engine/values.ts';
import { sqliteModule } from '../src/engine/wasm.ts';
import type { FileLayer } from '../src/log/file-layer.ts';
import { ReadGate } from '../src/log/read-gate.ts';
import { pageIndexMemory } from '../src/machine/page-index.ts';
import type { OpenLog } from '../src/node/opened-log.ts';
import { defaultSettings, type NodeSettings, pinsMax } from '../src/node/options.ts';
import type { RunReply, RunRequest } from '../src/node/request.ts';
import type { NodeRole } from '../src/node/role.ts';
import { WriterHost } from '../src/node/writer-host.ts';

const never = new AbortController().signal;

/** Small, so that segments, entries and memory are full after a few transactions. */
export const smallSettings: NodeSettings = {
  ...defaultSettings,
  pageBytes: 1024,
  cacheKib: 64,
  overlayBytes: 16_384,
  temporaryBytes: 16_384,
  indexPages: 4096,
  segmentBytes: 131_072,
  checkpointBytes: 262_144,
  retainBytes: 131_072,
};

/** Opens the writing side of a node in this thread. */
export async function openHost(
  layer: FileLayer,
  options: {
    readonly directory?: string;
    readonly settings?: NodeSettings;
    readonly openLog?: OpenLog;
    readonly adopt?: readonly string[];
    readonly gate?: SharedArrayBuffer;
    readonly index?: SharedArrayBuffer;
    readonly role?: NodeRole;
  } = {},
): Promise<WriterHost> {
  const { directory = '/node', settings = smallSettings, adopt = [], gate = ReadGate.memory() } = options;
  const { openLog, role, index = pageIndexMemory({ frames: settings.indexPages, pins: pinsMax }) } = options;
  const own = { ...(openLog === undefined ? {} : { openLog }), ...(role === undefined ? {} : { role }) };
  return await WriterHost.open(
    { directory, adopt, settings, index, gate, layer, module: sqliteModule(), ...own },
    never,
  );
}

/** A request with what a test does not care about. */
export function request(sql: string, args: SqlArguments = [], more: Partial<RunRequest> = {}): RunRequest {
  const statements = [{ sql, args }];
  return {
    database: 'main',
    statements,
    isAtomic: false,
    timeoutMs: 60_000,
    rowsMax: 1_000_000,
    numbers: 'plain',
    ...more,
  };
}

/** Runs and flushes. */
export async function run(
  host: WriterHost,
  sql: string,
  args: SqlArguments = [],
  more: Partial<RunRequest> = {},
): Promise<RunReply> {
  const running = host.executor.run(request(sql, args, more));
  // Whoever gave it up still hears of it below.
  running.catch(() => undefined);
  await host.machine.flush();
  return await running;
}
