import type { ServerOptions } from '../settings/server-options.ts';
import type { DataLayout } from '../state/layout.ts';

/** Where a server keeps its data, for the swap. */
export function layoutOf(server: ServerOptions): DataLayout {
  return {
    dataDirectory: server.dataDirectory,
    innodbDataHome: server.innodbDataHome,
    innodbDataFilePath: server.innodbDataFilePath,
    innodbLogHome: server.innodbLogGroupHome,
    innodbUndo: server.innodbUndo,
    ariaLog: server.ariaLog,
    binlog: server.binlog,
    binlogIndex: server.binlogIndex,
  };
}
