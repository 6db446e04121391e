import { type Child, spawnChild } from '@batondb/core/process/child';
import { runTool, toolEnvironment } from './tools.ts';

/** For lines of sh that remove rules to come to their end, before we look after it ourselves. */
const removalMsMax = 30_000;
/** A tool that the agent had started may wait for a lock of the firewall after the agent was killed. */
const lateSeconds = 7;
/** What the agent says before it closes the pipe in good order: nothing of it is under way any more. */
const inOrder = 'in order';

/**
 * A shell in a session of its own that removes our rules as soon as the agent is gone: it reads a pipe which nobody else
 * has, and which the kernel closes with the agent, however that ends.
 */
export class Watchdog {
  readonly #removal: string;
  readonly #child: Child;
  #isAlive = true;

  private constructor(removal: string, child: Child) {
    this.#removal = removal;
    this.#child = child;
    void child.exited.then(() => {
      this.#isAlive = false;
    });
  }

  /** Starts one. `removal`: lines of sh that may run twice. */
  static async start(removal: string): Promise<Watchdog> {
    const script = [
      "trap '' HUP INT TERM",
      'exec >/dev/null 2>&1',
      'cd /',
      `remove() {\n${removal}\n}`,
      'last=',
      'while read -r word; do last=$word; done',
      'remove',
      `[ "$last" = '${inOrder}' ] || { sleep ${lateSeconds}; remove; }`,
    ].join('\n');
    return new Watchdog(removal, await spawnChild(['sh', '-c', script], { detached: true, env: toolEnvironment }));
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Has the rules removed, and returns when they are. When the watchdog was killed, we remove them ourselves. */
  async end(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), removalMsMax);
    });
    this.#child.stdin.end(`${inOrder}\n`);
    const exit = await Promise.race([this.#child.exited, late]);
    clearTimeout(timer);
    if (exit?.code !== 0) await runRemoval(this.#removal);
  }
}

/** Runs lines of sh that remove rules; a rule that is gone already is none that fails. */
export async function runRemoval(removal: string): Promise<void> {
  await runTool(['sh', '-c', `exec >/dev/null 2>&1\n${removal}\ntrue`]);
}
