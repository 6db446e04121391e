import { readdir, readlink, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { installKey, type KeyReport } from './install-key.ts';
import { formatManifest, type Manifest, readManifest } from './manifest.ts';
import { manifestName, type Plan } from './plan.ts';
import { runProgram } from './run-program.ts';
import { runtimesInUse } from './runtimes-in-use.ts';
import { sandboxKind } from './service-sandbox.ts';
import { verifyRuntime, verifyScript } from './verify-runtime.ts';
import { compareFile, makeDirectory, putFile, putPieces, syncDirectory } from './write-files.ts';

export type InstallOptions = {
  readonly plan: Plan;
  /** Everything goes below it; '' is this machine itself, where what is installed is also tried as the server's user. */
  readonly root: string;
};

/** What was done. */
export type InstallReport = {
  readonly runtimePath: string;
  /** Files beside the runtime that were written, or were already what they have to be. */
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  /** Older runtimes that a transfer is using: the next installation takes them away. */
  readonly keptRuntimes: readonly string[];
  /** Undefined below another root: a key belongs to a cluster, not to a package. */
  readonly key: KeyReport | undefined;
  /** How it was tried; undefined below another root. */
  readonly triedIn: 'systemd' | 'namespace' | undefined;
};

/**
 * Installs, or brings an older installation up to date. The runtime in use stays in use until the new one has been run; files that somebody else has
 * put where ours go are never replaced. Throws EXISTS for those, UNSUPPORTED when what was written does not run, NO_PERMISSION, NO_SPACE.
 */
export async function install({ plan, root }: InstallOptions, signal: AbortSignal): Promise<InstallReport> {
  const isHere = root === '';
  if (isHere && process.geteuid?.() !== 0) {
    throw new BatonError('NO_PERMISSION', 'only root can install what a server runs', { hint: 'run it with sudo' });
  }
  const former = formerManifest(join(root, plan.layout.library, manifestName));
  const { written, unchanged } = await sortFiles(plan, root, former);
  const runtimes = [...(former?.runtimes ?? []).filter((name) => name !== plan.runtime.name), plan.runtime.name];
  // The manifest goes first: whatever is written after it, and not finished, can be uninstalled.
  await putManifest(plan, root, { ...plan.manifest, runtimes });
  await putRuntime(plan, root, isHere, signal);
  const triedIn = isHere ? sandboxKind() : undefined;
  await useRuntime(plan, root, written, async () => {
    if (triedIn !== undefined) await verifyScript(triedIn, signal);
  });
  const key = isHere ? await installKey(plan.layout.key) : undefined;
  if (triedIn === 'systemd') await runProgram(['systemctl', 'daemon-reload'], signal);
  const keptRuntimes = await removeFormer(plan, root, runtimes);
  await putManifest(plan, root, { ...plan.manifest, runtimes: [...keptRuntimes, plan.runtime.name] });
  const names = [...plan.files].map(({ path }) => path);
  return {
    runtimePath: plan.runtimePath,
    written: names.filter((path) => written.has(path)),
    unchanged,
    keptRuntimes,
    key,
    triedIn,
  };
}

/** A manifest that makes no sense is written anew. */
function formerManifest(path: string): Manifest | undefined {
  try {
    return readManifest(path);
  } catch (error) {
    if (toErrorRecord(error).code === 'STAGING_DAMAGED') return undefined;
    throw error;
  }
}

async function sortFiles(
  { manifest }: Plan,
  root: string,
  former: Manifest | undefined,
): Promise<{ written: ReadonlySet<string>; unchanged: readonly string[] }> {
  const written = new Set<string>();
  const unchanged: string[] = [];
  for (const file of manifest.files) {
    const state = await compareFile(root, file);
    if (state === 'same') {
      unchanged.push(file.path);
      continue;
    }
    const ours = former?.files.find(({ path }) => path === file.path);
    const isFree = state === 'absent' || (ours !== undefined && (await compareFile(root, ours)) === 'same');
    if (!isFree) {
      throw new BatonError('EXISTS', `${join(root, file.path)} is there and is not what baton has installed`, {
        hint: 'look what it is, and move it away',
      });
    }
    written.add(file.path);
  }
  return { written, unchanged };
}

async function putManifest({ layout }: Plan, root: string, manifest: Manifest): Promise<void> {
  const path = join(layout.library, manifestName);
  await putFile(root, { path, mode: 0o644, content: formatManifest(manifest) });
}

/** Made beside its final name, run there, and renamed. One of the same name that is there is put aside: it may be damaged. */
async function putRuntime(plan: Plan, root: string, isHere: boolean, signal: AbortSignal): Promise<void> {
  const library = join(root, plan.layout.library);
  await makeDirectory(library);
  for (const name of await readdir(library)) {
    if (name.startsWith('.')) await rm(join(library, name), { recursive: true, force: true });
  }
  const unfinished = join(library, `.${plan.runtime.name}.new`);
  try {
    await putPieces(unfinished, plan.runtime.pieces);
    await verifyRuntime(unfinished, isHere ? sandboxKind() : undefined, signal);
    await exchange(unfinished, join(root, plan.runtimePath));
    await syncDirectory(library);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function exchange(fresh: string, path: string): Promise<void> {
  const aside = `${fresh}.old`;
  await rename(path, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(fresh, path);
  await rm(aside, { recursive: true, force: true });
}

/** Points to the new runtime and writes the files. When they do not prove themselves, the former runtime is the current one again. */
async function useRuntime(
  { current, files }: Plan,
  root: string,
  written: ReadonlySet<string>,
  prove: () => Promise<void>,
): Promise<void> {
  const before = await readlink(join(root, current.path)).catch(() => undefined);
  await putFile(root, current);
  for (const file of files) if (written.has(file.path)) await putFile(root, file);
  try {
    await prove();
  } catch (error) {
    if (before !== undefined) await putFile(root, { path: current.path, link: before });
    throw error;
  }
}

async function removeFormer(plan: Plan, root: string, runtimes: readonly string[]): Promise<string[]> {
  const library = join(root, plan.layout.library);
  const former = runtimes.filter((name) => name !== plan.runtime.name);
  const inUse = runtimesInUse(library);
  for (const name of former) {
    if (!inUse.has(name)) await rm(join(library, name), { recursive: true, force: true });
  }
  return former.filter((name) => inUse.has(name));
}
