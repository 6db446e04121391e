// Two real nodes whose method does what a test says, to see what servers make of it.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GaleraCluster, makeMysqlDirectory, startGalera } from '@batondb/testbed/galera';
import { signalProcess, waitUntil } from '@batondb/testbed/process-table';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { installMethod } from './recording.ts';

/** What both sides do, as shell. The joiner ends by itself after 30 s; `$position` is the donor's. */
export type Scripts = { readonly joiner: string; readonly donor: string };

/** What a script saw. */
export type SeenCall = {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The arguments of all processes of this machine. */
  readonly processes: string;
};

/** What came of a request. Logs are those since it began. */
export type Outcome = {
  readonly joinerLog: string;
  readonly donorLog: string;
  /** Of the donor's node, when the joiner's had ended. */
  readonly donorState: string;
  /** Whether scripts outlived the joiner's server. */
  readonly joinerLingers: boolean;
  readonly signalled: readonly string[];
  readonly donorCall: SeenCall | undefined;
};

/** Waits about half a minute. */
export const wait = 'for _ in $(seq 300); do sleep 0.1; done';

/** A cluster of one node, over IPv6, and a second one that asks it for its state again and again. */
export class ScriptedCluster implements AsyncDisposable {
  readonly cluster: GaleraCluster;
  readonly #place: string;

  private constructor(cluster: GaleraCluster, place: string) {
    this.cluster = cluster;
    this.#place = place;
  }

  static async start(sandbox: Sandbox): Promise<ScriptedCluster> {
    const place = await makeMysqlDirectory(sandbox, 'scripts');
    const path = [installMethod(sandbox, 'scripted')];
    const environment = { BATON_SCRIPTS: place };
    const node = { method: 'scripted', path, environment } as const;
    return new ScriptedCluster(await startGalera(sandbox, { nodes: 2, running: 1, host: '[::1]', ...node }), place);
  }

  /** Starts the second node, waits until its server has ended, and cleans up behind it. */
  async ask(scripts: Scripts): Promise<Outcome> {
    const [first, second] = [this.cluster.node(1), this.cluster.node(2)];
    for (const name of readdirSync(this.#place)) rmSync(join(this.#place, name), { recursive: true });
    writeFileSync(join(this.#place, 'joiner'), scripts.joiner);
    writeFileSync(join(this.#place, 'donor'), scripts.donor);
    const logs = {
      first: first.log().length,
      second: existsSync(join(second.place.path, 'log')) ? second.log().length : 0,
    };
    await second.start();
    await second.untilEnd();
    const outcome = {
      donorState: await first.state(),
      joinerLingers: second.childProcesses().length > 0,
      signalled: readdirSync(this.#place).filter((name) => name.startsWith('signalled-')),
      donorCall: this.#readCall('donor'),
    };
    await waitUntil('the scripts end', () => {
      const left = [...first.childProcesses(), ...second.childProcesses()];
      for (const { pid } of left) signalProcess(pid, 'SIGKILL');
      return left.length === 0;
    });
    await first.untilSynced();
    return { ...outcome, joinerLog: second.log().slice(logs.second), donorLog: first.log().slice(logs.first) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }

  #readCall(role: string): SeenCall | undefined {
    const directory = join(this.#place, `called-${role}`);
    if (!existsSync(directory)) return undefined;
    const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
    const variables = read('environ').split('\n').slice(0, -1);
    return {
      argv: read('argv').split('\0').slice(0, -1),
      environment: Object.fromEntries(
        variables.map((text): [string, string] => [
          text.slice(0, text.indexOf('=')),
          text.slice(text.indexOf('=') + 1),
        ]),
      ),
      processes: read('processes'),
    };
  }
}
