import { nearestName } from '@batondb/core/text/suggest';
import type { Finding } from './finding.ts';
import { ownKeys } from './keys.ts';
import type { Options } from './option-files.ts';
import { securityKeys } from './security.ts';

/** What other methods read in `[sst]` and this one does not need, with the reason. */
const othersKeys: Readonly<Record<string, string>> = {
  streamfmt: 'the stream is always that of the backup tool',
  transferfmt: 'baton has a transport of its own',
  sockopt: 'baton has a transport of its own',
  progress: 'progress always goes to the error log, and to `baton galera status`',
  time: 'times are always in the error log',
  cpat: 'what the server does not own always stays where it is',
  compressor: 'set compression=zstd or compression=none instead',
  decompressor: 'set compression=zstd or compression=none instead',
  compress: 'set compression=zstd or compression=none instead',
  'compress-chunk-size': 'set compression=zstd or compression=none instead',
  'compress-threads': 'set compression=zstd or compression=none instead',
  'inno-move-opts': 'the data moves by renames, without the backup tool',
  'use-extra': 'the backup tool connects by the socket, which needs no extra port',
  'sst-special-dirs': 'directories outside of the data directory are always known',
  'sst-syslog': 'everything goes to the error log',
  'sst-log-archive': 'everything goes to the error log',
  'sst-log-archive-dir': 'everything goes to the error log',
  tmpdir: 'nothing temporary is written outside of the data directory',
  'wsrep-debug': 'everything that helps is always in the error log',
  'auto-upgrade': 'another major version is refused',
  'force-upgrade': 'another major version is refused',
  rebuild: 'indexes come with the data',
  rebuilder: 'indexes come with the data',
};

/** A finding for every key of `[sst]` that has no effect here: left over from another method, or mistyped. */
export function findUnused(sst: Options): Finding[] {
  const judged = new Set([...ownKeys, ...securityKeys.filter((key) => key !== 'sockopt')]);
  return [...sst.keys()]
    .filter((key) => !judged.has(key))
    .map((key) => {
      const reason = Object.hasOwn(othersKeys, key) ? othersKeys[key] : undefined;
      if (reason !== undefined) return { subject: `[sst] ${key}`, text: `${key} has no effect: ${reason}` };
      const near = nearestName(key, ownKeys);
      return {
        subject: `[sst] ${key}`,
        text: `${key} is not known`,
        hint: near === undefined ? 'remove it, or look into the table of keys' : `did you mean ${near}?`,
      };
    });
}
