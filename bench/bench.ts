import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DataSet } from './data.ts';
import { measure, type Sample } from './measure.ts';
import type { Method } from './peers/method.ts';
import { freePort } from './programs.ts';
import { prepareSshServer } from './sshd.ts';
import { digestTree, type TreeContent, warmTree } from './tree.ts';

/** One run of one method over one data set. */
export type Run = {
  readonly round: number;
  readonly data: DataSet['name'];
  readonly method: string;
  readonly sample: Sample;
  /** What it takes afterwards until the copy is on the disk. Measured in the first run only. */
  readonly syncSeconds: number | undefined;
};

/** A run that gives no numbers, and why. */
export type Failure = { readonly data: DataSet['name']; readonly method: string; readonly reason: string };

export type Outcome = { readonly run: Run } | { readonly failure: Failure };

/** A run ends by then, however slow the machine is. */
const runMsMax = 5 * 60_000;

/** Runs methods one at a time in `directory`, and sees to it that each finds the machine as the one before did. */
export class Bench {
  readonly #directory: string;
  readonly #baton: string;
  readonly #sources = new Map<string, TreeContent>();
  readonly #verified = new Set<string>();
  #runCount = 0;

  /** @param baton path of the command that is measured */
  constructor(directory: string, baton: string) {
    this.#directory = directory;
    this.#baton = baton;
  }

  /**
   * Copies `data` once. The first copy of each method is compared with the source byte by byte before its time
   * counts, later ones by number and bytes of their files.
   */
  async run(method: Method, data: DataSet, round: number, signal: AbortSignal): Promise<Outcome> {
    this.#runCount += 1;
    const directory = join(this.#directory, `run${this.#runCount}`);
    const targets = Array.from({ length: method.targets ?? 1 }, (_, index) => join(directory, `target${index + 1}`));
    for (const target of targets) mkdirSync(target, { recursive: true });
    try {
      this.#readSource(data);
      // What earlier runs left to write must not be written during this one.
      syncFileSystem(directory);
      const sample = await measure(await this.#command(method, data, directory, targets), signal);
      const isFirst = !this.#verified.has(`${method.name} ${data.name}`);
      const syncSeconds = isFirst ? syncFileSystem(directory) : undefined;
      for (const target of targets) this.#verify(data, target, isFirst);
      this.#verified.add(`${method.name} ${data.name}`);
      return { run: { round, data: data.name, method: method.name, sample, syncSeconds } };
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      return { failure: { data: data.name, method: method.name, reason } };
    } finally {
      // ext4 gives the number of a deleted inode to nobody for minutes, and walks past all of them for every file that is
      // created: removing 20,000 files here would make the next method 3 times slower. They go when the bench ends.
      if (data.name !== 'small') rmSync(directory, { recursive: true, force: true });
    }
  }

  /**
   * Copies `data` as often as the methods will at a time, without measuring. A virtual machine that touches memory for
   * the first time pays for every page; the method that happens to come first must not.
   */
  warmUp(data: DataSet, copies: number): void {
    const directory = join(this.#directory, 'warm-up');
    try {
      for (let copy = 0; copy < copies; copy += 1) {
        mkdirSync(join(directory, String(copy)), { recursive: true });
        execFileSync('cp', ['-a', data.path, join(directory, String(copy))]);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  /** What the source holds; known once the first method has run over it. */
  source(data: DataSet['name']): TreeContent | undefined {
    return this.#sources.get(data);
  }

  async #command(
    method: Method,
    data: DataSet,
    directory: string,
    targets: readonly string[],
  ): Promise<Parameters<typeof measure>[0]> {
    const sshServer = method.ssh === true ? prepareSshServer(join(directory, 'ssh'), await freePort()) : undefined;
    const environment: Record<string, string> = {
      SOURCE: data.parent,
      NAME: data.name,
      PORT: String(await freePort()),
      PASSWORD: 'only for the bench',
      BATON: this.#baton,
      SSH_CONFIG: sshServer?.clientConfigPath ?? '',
      SOCKET: data.socketPath ?? '',
    };
    targets.forEach((target, index) => {
      environment[index === 0 ? 'TARGET' : `TARGET${index + 1}`] = target;
    });
    return { script: method.script, environment, sshServer, logPath: join(directory, 'log'), msMax: runMsMax };
  }

  #readSource(data: DataSet): void {
    if (this.#sources.has(data.name)) warmTree(data.path);
    else this.#sources.set(data.name, digestTree(data.path));
  }

  #verify(data: DataSet, target: string, isFirst: boolean): void {
    const source = this.#sources.get(data.name);
    const names = readdirSync(target);
    // A backup has more than the tables, and each method leaves its own notes there.
    if (data.name !== 'backup' && (names.length !== 1 || names[0] !== data.name)) {
      throw new Error(`its target holds ${names.join(', ') || 'nothing'} instead of ${data.name} alone`);
    }
    const path = join(target, data.name);
    const copy = isFirst ? digestTree(path) : { ...warmTree(path), digest: source?.digest };
    if (copy.digest !== source?.digest || copy.files !== source?.files || copy.bytes !== source?.bytes) {
      throw new Error(
        `its copy of ${copy.files} files, ${copy.bytes} bytes is not the source's ${source?.files} files, ${source?.bytes} bytes`,
      );
    }
  }
}

/** Waits until the file system of `path` has written everything. Returns the seconds it took. */
function syncFileSystem(path: string): number {
  const start = performance.now();
  execFileSync('sync', ['--file-system', path]);
  return (performance.now() - start) / 1000;
}
