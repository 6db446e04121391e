import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '@batondb/core/version';
import type { NodeLayout } from './layout.ts';
import { formatManifest, type Manifest } from './manifest.ts';
import type { Runtime } from './runtime.ts';
import {
  commandScript,
  entrypointScript,
  instanceDropIn,
  recoverScript,
  transferScript,
  unitDropIn,
} from './scripts.ts';

/** A file of an installation beside the runtime, or a symlink. Paths are those on the node. */
export type PlannedFile =
  | { readonly path: string; readonly mode: number; readonly content: string }
  | { readonly path: string; readonly link: string };

/** All that an installation is, not done yet. */
export type Plan = {
  readonly layout: NodeLayout;
  readonly runtime: Runtime;
  /** Where the runtime is put. */
  readonly runtimePath: string;
  /** The link that says which runtime is used. */
  readonly current: { readonly path: string; readonly link: string };
  readonly files: readonly PlannedFile[];
  readonly manifest: Manifest;
};

const executable = 0o755;
const readable = 0o644;

/** Plans an installation. Reads the shell library, and nothing of the node. */
export function planInstallation(layout: NodeLayout, runtime: Runtime): Plan {
  const { library, programs, units } = layout;
  const inLibrary = (name: string): string => join(library, name);
  const shellLibrary = readFileSync(new URL('../../shell/baton-sst.sh', import.meta.url), 'utf8');
  const content = shellLibrary.replace('@library@', () => library);
  const files: PlannedFile[] = [
    { path: inLibrary('baton-sst.sh'), mode: readable, content },
    { path: inLibrary('recover'), mode: executable, content: recoverScript(layout) },
    { path: inLibrary('entrypoint'), mode: executable, content: entrypointScript(layout) },
    { path: join(units, 'mariadb.service.d/50-baton.conf'), mode: readable, content: unitDropIn(layout) },
    { path: join(units, 'mariadb@.service.d/50-baton.conf'), mode: readable, content: instanceDropIn(layout) },
    { path: join(programs, 'baton'), mode: executable, content: commandScript(layout) },
    // Last: from here on the server can start it.
    { path: join(programs, 'wsrep_sst_baton'), mode: executable, content: transferScript(layout) },
    { path: join(programs, 'wsrep_sst_baton.sh'), link: 'wsrep_sst_baton' },
  ];
  const current = { path: inLibrary('current'), link: runtime.name };
  const manifest: Manifest = {
    version,
    library,
    runtimes: [runtime.name],
    files: files.map((file) => ('link' in file ? file : { path: file.path, digest: digestOf(file.content) })),
  };
  return { layout, runtime, runtimePath: inLibrary(runtime.name), current, files, manifest };
}

/** By which a file is told from one that was changed since. */
export function digestOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** What would be written, for people: every file with its mode and content, the runtime by its size. Pure. */
export function planLines({ layout, runtime, runtimePath, current, files, manifest }: Plan): string[] {
  return [
    `${runtimePath}/: ${runtime.pieces.length} files, ${runtime.contentBytes} bytes`,
    ...runtime.pieces.map(({ path }) => `  ${path}`),
    `${current.path} -> ${current.link}`,
    ...files.flatMap((file) =>
      'link' in file
        ? [`${file.path} -> ${file.link}`]
        : [`${file.path}, mode ${file.mode.toString(8)}:`, ...indented(file.content)],
    ),
    `${join(layout.library, manifestName)}, mode ${readable.toString(8)}:`,
    ...indented(formatManifest(manifest)),
  ];
}

/** Below the library. */
export const manifestName = 'manifest.json';

function indented(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`);
}
