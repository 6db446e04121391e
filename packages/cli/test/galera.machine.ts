// A machine to install on: this one, with an /etc and a /usr/local of its own, which nobody else sees and which go with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutPath } from '@batondb/testbed/checkout';
import { type CommandOptions, type CommandResult, mustRun, runCommand } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import type { Sandbox } from '@batondb/testbed/sandbox';

const prepare = `
mount -t tmpfs -o mode=755 none "$1"
cp -a /etc/. "$1"
mount --move "$1" /etc
mount -t tmpfs -o mode=755 none /usr/local
mkdir /usr/local/bin /usr/local/lib
echo ready
exec cat`;

/** At the end of its block nothing of it is left: a mount namespace lives as long as its processes. */
export class Machine implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** The words that run a program there. */
  inside(argv: readonly string[]): string[] {
    return ['nsenter', `--mount=/proc/${this.#child.pid}/ns/mnt`, '--', ...argv];
  }

  /** Runs a program there, as root, and returns how it ended. */
  async run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return await runCommand(this.inside(argv), options);
  }

  /** Runs a program that has to end with 0, and returns what it has said. */
  async ask(argv: readonly string[]): Promise<string> {
    const { stdout } = await mustRun(this.inside(argv));
    return stdout;
  }

  /** This checkout's `baton galera`. */
  async baton(...words: readonly string[]): Promise<CommandResult> {
    return await this.run([join(checkoutPath, 'baton'), 'galera', ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}

/** Needs root. */
export async function startMachine(sandbox: Sandbox): Promise<Machine> {
  requireRoot('an installation');
  const etc = sandbox.join('etc');
  mkdirSync(etc);
  const child = spawn('unshare', ['--mount', '--propagation=private', 'sh', '-ec', prepare, 'sh', etc], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => {
      throw new Error('the machine has not been made');
    }),
  ]);
  return new Machine(child);
}

/** The words that call a command by its name as a server does: by a shell, as user mysql, with the PATH of a service. */
export function asServer(command: string): string[] {
  const asMysql = ['setpriv', '--reuid=mysql', '--regid=mysql', '--init-groups'];
  return [...asMysql, 'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin', 'sh', '-c', command];
}
