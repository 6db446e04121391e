import type { FileLayer } from '../log/file-layer.ts';
import { ReadGate } from '../log/read-gate.ts';
import { segmentPath } from '../log/segment-files.ts';
import { LogFiles } from '../machine/log-files.ts';
import { PageIndex } from '../machine/page-index.ts';
import { Paths } from '../machine/paths.ts';
import type { ReaderContext } from '../machine/reader-view.ts';
import { pinsMax } from './options.ts';
import type { ThreadData } from './thread-data.ts';

/** What a thread reads with. */
export function readerContext({ directory, settings, index, gate }: ThreadData, layer: FileLayer): ReaderContext {
  const paths = new Paths(directory);
  return {
    index: new PageIndex(index, { frames: settings.indexPages, pins: pinsMax }),
    gate: new ReadGate(gate),
    layer,
    paths,
    logFiles: new LogFiles(layer, (file) => segmentPath(paths.log, file)),
  };
}
