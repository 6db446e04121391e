import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { formatBytes, formatCount } from '@batondb/core/text/format';
import { type DemoEvent, eventsOf, findAgents, type Run, root, runBaton } from './baton.ts';
import { type Damage, turnBit } from './damage.ts';
import { expect } from './failure.ts';
import { progressLines } from './progress.ts';
import { compare, diffWords, shown } from './proof.ts';
import type { Screen } from './screen.ts';

// What the demo shows of copies, step by step. Each step throws DemoFailure when it sees something else.

/** When the agent is killed: late enough that there is something to continue from, early enough that much is left. */
const killFraction = 0.3;

/** A directory that is copied to two others. */
export class CopyDemo {
  readonly source: string;
  readonly one: string;
  readonly two: string;
  readonly #screen: Screen;

  constructor(directory: string, source: string, screen: Screen) {
    this.#screen = screen;
    this.source = source;
    this.one = `${directory}/one`;
    this.two = `${directory}/two`;
    for (const target of [this.one, this.two]) mkdirSync(resolve(root, target), { recursive: true });
  }

  /** The command that copies to both targets: with a limit, so that also a fast machine takes long enough to be interrupted. */
  copyWords(): string[] {
    return ['copy', '--bwlimit', '4MB', '--priority', 'normal', this.source, this.one, this.two];
  }

  /** Copies to both at once and kills the agent of one on the way.  */
  async copyAndKill(): Promise<void> {
    const screen = this.#screen;
    screen.step(
      5,
      'to two directories at once',
      `The source reads every byte once, and ${this.one} hands it on to ${this.two}. On the way, the agent of ${this.one} gets a kill -9: no goodbye, no cleaning up.`,
    );
    let isKilled = false;
    const run = await this.#copy((event) => {
      if (!isKilled && event.type === 'progress') isKilled = this.#killWhenDue(event);
    });
    expect(isKilled, `${this.one} came to its end before it could be killed`);
    const [failed] = eventsOf(run, 'target-failed');
    const [rerouted] = eventsOf(run, 'rerouted');
    const done = eventsOf(run, 'target-done').map(({ result }) => result);
    expect(
      failed?.result.target === this.one && run.exitCode === 50,
      `exit code ${run.exitCode} where 50 was expected`,
    );
    expect(rerouted?.target === this.two && done[0]?.target === this.two, `${this.two} did not go on alone`);
    expect(
      !existsSync(resolve(root, this.one, basename(this.source))),
      `${this.one} shows a partial copy as if it were complete`,
    );
    screen.seen(`${this.two} went on from the source without it and is complete: ${sizeOf(run)}`);
    screen.seen(`exit code 50 and the summary name ${this.one}: “${failed.result.error?.message ?? ''}”`);
    screen.seen(`${this.one}/${basename(this.source)} does not exist: a partial copy never looks complete`);
  }

  #killWhenDue(event: DemoEvent & { type: 'progress' }): boolean {
    const progress = event.targets.find(({ target }) => target === this.one);
    if (progress === undefined || progress.phase !== 'receiving') return false;
    const fraction = progress.doneBytes / progress.totalBytes;
    const [pid] = fraction < killFraction ? [] : findAgents(realpathSync(resolve(root, this.one)));
    if (pid === undefined) return false;
    process.kill(pid, 'SIGKILL');
    this.#screen.deed(`kill -9 ${pid}: that was the agent of ${this.one}, at ${Math.floor(fraction * 100)} %`);
    return true;
  }

  /** Turns over one bit of what the killed agent left. */
  damage(): Damage {
    const screen = this.#screen;
    screen.step(
      6,
      'one bit goes bad',
      `Now a single bit of what ${this.one} has received is turned over, as a bad disk would do it.`,
    );
    const damage = turnBit(resolve(root, this.source), resolve(root, this.one));
    const { path, offset, before, after } = damage;
    screen.deed(`${path}: the byte at ${number(offset)} was 0x${hex(before)} and is 0x${hex(after)}`);
    return damage;
  }

  /** Runs the same command again. */
  async resume(damage: Damage): Promise<void> {
    const screen = this.#screen;
    screen.step(
      7,
      'the same copy again',
      'A rerun trusts nothing that a killed run left: it reads every unit again, compares it with its digest, keeps the good ones and fetches the rest.',
    );
    const run = await this.#copy(() => undefined);
    expect(run.exitCode === 0 || run.exitCode === 20, `exit code ${run.exitCode} where 0 was expected`);
    const [resumed] = eventsOf(run, 'resumed');
    const damaged = eventsOf(run, 'unit-damaged');
    const [unit] = damaged;
    expect(resumed !== undefined, 'nothing was kept of what was there');
    expect(damaged.length === 1 && unit !== undefined, `${damaged.length} damaged units were found where there is one`);
    const isThere =
      belowCopy(unit.path) === damage.path && damage.offset >= unit.offset && damage.offset < unit.offset + unit.length;
    expect(
      isThere,
      `unit ${unit.unit} (${unit.path} at ${unit.offset}) was named, but ${damage.path} at ${damage.offset} was damaged`,
    );
    screen.seen(`${formatBytes(resumed.keptBytes)} did not travel again; unit ${unit.unit}, with our bit in it, did`);
    screen.seen(`${this.one} is complete`);
  }

  /** Compares both copies with their source by diff and find. */
  async verify(): Promise<void> {
    const screen = this.#screen;
    screen.step(8, 'do not take its word for it', 'diff compares the content, find lists everything else.');
    for (const target of [this.one, this.two]) {
      const copy = `${target}/${basename(this.source)}`;
      screen.command(shown(diffWords(this.source, copy)));
      const { entries, differences } = await compare(this.source, copy);
      const [first] = differences;
      expect(first === undefined, `${target}: ${differences.length} paths differ, for example ${first}`);
      screen.seen(
        `${target}: ${formatCount(entries, 'entry', 'entries')} identical in content, mode, owner, size, and times to the nanosecond`,
      );
    }
  }

  async #copy(onEvent: (event: DemoEvent) => void): Promise<Run> {
    const screen = this.#screen;
    const words = this.copyWords();
    screen.command(`./baton ${shown(words)}`);
    const run = await runBaton(words, (event) => {
      if (event.type === 'progress') screen.progress(progressLines(event.targets, screen), performance.now());
      const news = newsOf(event);
      if (news !== undefined) screen.news(news);
      onEvent(event);
    });
    for (const { findings } of eventsOf(run, 'findings'))
      for (const { error } of findings) screen.failure(`${error.message} (${error.hint ?? error.code})`);
    for (const { error } of eventsOf(run, 'error')) screen.failure(error.message);
    if (run.stderr !== '') screen.line(run.stderr.trimEnd());
    expect(run.summary !== undefined, `baton ended with exit code ${run.exitCode} and without a summary`);
    return run;
  }
}

/** What baton tells on the way, as far as the demo is about it. */
function newsOf(event: DemoEvent): string | undefined {
  switch (event.type) {
    case 'rerouted':
      return `rerouted: ${event.target} now gets its data from ${event.to === '.' ? 'the source' : event.to} (${event.reason})`;
    case 'resumed':
      return `resumed: ${formatBytes(event.keptBytes)} in ${formatCount(event.keptUnits, 'unit')} are there and good`;
    case 'unit-damaged':
      return `damaged: unit ${event.unit} is not what its digest says: ${belowCopy(event.path)}, ${formatBytes(event.length)} from byte ${number(event.offset)} on`;
    case 'target-failed':
      return `failed: ${event.result.target}: ${event.result.error?.message ?? 'no reason was given'}`;
    case 'target-done':
      return `done: ${event.result.finalPath}`;
    default:
      return undefined;
  }
}

function sizeOf({ summary }: Run): string {
  return summary === undefined ? '' : `${formatCount(summary.files, 'file')}, ${formatBytes(summary.contentBytes)}`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** A path without its first component, which is the copy's own name. */
function belowCopy(path: string): string {
  return path.slice(path.indexOf('/') + 1);
}
