import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { openScope, processName, residentBytesMax, type Scope } from './scope.ts';
import type { SshServer } from './sshd.ts';

/** What one run of one method cost. */
export type Sample = {
  readonly wallSeconds: number;
  /** User and system, of all processes of the method, sshd and agents included. */
  readonly cpuSeconds: number;
  /** The largest process: the most memory it had resident, and its name. */
  readonly memoryBytesMax: number;
  readonly memoryProcess: string;
  /** Bytes that went over the loopback device meanwhile, of the whole machine, protocol headers included. */
  readonly loopbackBytes: number;
  /** What the script said: after how many seconds, and what CPU it had cost by then (where that can be known). */
  readonly phases: readonly {
    readonly name: string;
    readonly wallSeconds: number;
    readonly cpuSeconds: number | undefined;
  }[];
  /** Processes of the method that were still there a moment after it said it was done, and were ended. */
  readonly leftovers: readonly string[];
};

export type Command = {
  /** A bash script, run with `set -euo pipefail`. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** A server that must answer before the clock starts, and that belongs to what is measured. */
  readonly sshServer: SshServer | undefined;
  readonly logPath: string;
  readonly msMax: number;
};

const wrapperPath = join(import.meta.dirname, 'wrapper.sh');
const sampleMs = 50;
/** Time for processes that say goodbye to each other after the command has ended. */
const leaveMs = 500;

/**
 * Runs the command and measures it. Its output goes to the log.
 * Throws an Error with the last lines of the log when it fails, takes longer than `msMax`, or `signal` is aborted;
 * nothing of it runs any more afterwards, however it ended.
 */
export async function measure(command: Command, signal: AbortSignal): Promise<Sample> {
  const root: { pid: number | undefined } = { pid: undefined };
  const scope = openScope(() => root.pid);
  const log = openSync(command.logPath, 'w');
  const wrapper = spawn('bash', [wrapperPath], {
    stdio: ['ignore', log, log, 'pipe'],
    detached: true,
    env: {
      ...process.env,
      LC_ALL: 'C',
      BENCH_CGROUP: scope.joinPath ?? '',
      BENCH_SCRIPT: command.script,
      BENCH_SSHD: command.sshServer?.program ?? '',
      BENCH_SSHD_CONFIG: command.sshServer?.serverConfigPath ?? '',
      BENCH_SSHD_PORT: String(command.sshServer?.port ?? ''),
      ...command.environment,
    },
  });
  closeSync(log);
  root.pid = wrapper.pid;
  const exited = once(wrapper, 'exit');
  const memory = new MemorySampler(scope);
  const end = AbortSignal.any([signal, AbortSignal.timeout(command.msMax)]);
  const onEnd = () => wrapper.kill('SIGKILL');
  end.addEventListener('abort', onEnd);
  if (end.aborted) onEnd();
  let sample: Omit<Sample, 'leftovers'> | undefined;
  let leftovers: string[] = [];
  try {
    sample = await follow(wrapper.stdio[3] as Duplex, scope, memory, end);
    await exited;
    await waitUntilEmpty(scope);
  } finally {
    memory.stop();
    end.removeEventListener('abort', onEnd);
    wrapper.kill('SIGKILL');
    leftovers = await scope.close();
  }
  signal.throwIfAborted();
  if (end.aborted) throw new Error(`it took longer than ${command.msMax / 1000} s and was ended`);
  if (sample === undefined) throw new Error(`it failed:\n${lastLines(command.logPath)}`);
  return { ...sample, leftovers };
}

/** Reads what the wrapper says until it is done or `end` is aborted. Undefined when the method failed or the wrapper ended early. */
async function follow(
  control: Duplex,
  scope: Scope,
  memory: MemorySampler,
  end: AbortSignal,
): Promise<Omit<Sample, 'leftovers'> | undefined> {
  const phases: { name: string; at: number; cpu: number | undefined }[] = [];
  let cpuBefore = 0;
  let ofChildren = 0;
  let loopbackBefore = 0;
  for await (const line of createInterface({ input: control, signal: end })) {
    const [event, ...words] = line.split(' ');
    if (/^\d+m/.test(line)) {
      ofChildren = shellSeconds(line);
    } else if (event === 'ready') {
      cpuBefore = scope.cpuSeconds() ?? ofChildren;
      loopbackBefore = loopbackBytes();
      control.write('go\n');
    } else if (event === 'phase') {
      phases.push({ name: words[0] ?? '', at: Number(words[1]), cpu: scope.cpuSeconds() });
    } else if (event === 'done') {
      const [status, start, end] = words.map(Number);
      if (status !== 0 || start === undefined || end === undefined) return undefined;
      return {
        wallSeconds: end - start,
        cpuSeconds: (scope.cpuSeconds() ?? ofChildren) - cpuBefore,
        memoryBytesMax: memory.largest.bytes,
        memoryProcess: memory.largest.name,
        loopbackBytes: loopbackBytes() - loopbackBefore,
        phases: phases.map(({ name, at, cpu }) => ({
          name,
          wallSeconds: at - start,
          cpuSeconds: cpu === undefined ? undefined : cpu - cpuBefore,
        })),
      };
    }
  }
  return undefined;
}

/** Looks at every process of the scope again and again; the kernel itself remembers the peak of each. */
class MemorySampler {
  largest: { bytes: number; name: string } = { bytes: 0, name: '' };
  readonly #scope: Scope;
  readonly #timer: NodeJS.Timeout;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.#timer = setInterval(() => this.#look(), sampleMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const pid of this.#scope.processes()) {
      const bytes = residentBytesMax(pid);
      if (bytes > this.largest.bytes) this.largest = { bytes, name: processName(pid) };
    }
  }
}

async function waitUntilEmpty(scope: Scope): Promise<void> {
  const deadline = Date.now() + leaveMs;
  while (scope.processes().length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A line such as `0m1.250s 0m0.120s` of the shell's `times`: user and system together. */
function shellSeconds(line: string): number {
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, match) => sum + Number(match[1]) * 60 + Number(match[2]),
    0,
  );
}

function loopbackBytes(): number {
  return Number(/^\s*lo:\s*(\d+)/m.exec(readFileSync('/proc/net/dev', 'utf8'))?.[1] ?? 0);
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
}
