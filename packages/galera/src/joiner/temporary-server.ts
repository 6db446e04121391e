import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { type Child, childError } from '@batondb/core/process/child';
import { spawnTethered } from '@batondb/core/process/tethered';
import type { ServerOptions } from '@batondb/mariadb';
import { findProgram, runStatement, toolEnvironment } from '@batondb/mariadb/client';
import type { Call } from '../contract/call.ts';
import { logicalLimits } from '../logical-limits.ts';
import { pause } from '../pause.ts';

const answerMsMax = 10_000;
const lookMs = 50;
/** What a start says of the cluster, of how it is reached, and of what others hear, is not for a server of ours. */
const notOurs =
  /^--(loose[-_])?(wsrep|log[-_]bin|datadir|socket|port|bind[-_]address|defaults|init[-_]file|pid[-_]file)/;

/** Where the data of a temporary server is, and what else it needs. */
export type TemporaryPlace = {
  /** Its data directory, in which all of its files are. */
  readonly directory: string;
  /** For temporary tables: it is there. */
  readonly scratch: string;
  /** A directory that nobody else can look into, for its socket. */
  readonly privateDirectory: string;
};

/** Throws UNSUPPORTED. */
export function findServer(): string {
  const program = findProgram('mariadbd') ?? findProgram('mysqld');
  if (program !== undefined) return program;
  throw new BatonError('UNSUPPORTED', 'this machine has no mariadbd that could be started on the dump', {
    hint: 'use method=backup, or install the server where PATH finds it',
  });
}

/** The command of a server on that directory: with the real server's options of how data is kept, and alone. */
export function serverArguments(call: Pick<Call, 'optionFiles' | 'serverArguments'>, place: TemporaryPlace): string[] {
  const { defaultsFile, defaultsExtraFile, groupSuffix } = call.optionFiles;
  const { directory, scratch, privateDirectory } = place;
  return [
    findServer(),
    ...(defaultsFile === undefined ? [] : [`--defaults-file=${defaultsFile}`]),
    ...(defaultsExtraFile === undefined ? [] : [`--defaults-extra-file=${defaultsExtraFile}`]),
    ...(groupSuffix === undefined ? [] : [`--defaults-group-suffix=${groupSuffix}`]),
    ...call.serverArguments.filter((word) => word.startsWith('--') && !notOurs.test(word)),
    ...[
      'datadir',
      'innodb-data-home-dir',
      'innodb-log-group-home-dir',
      'innodb-undo-directory',
      'aria-log-dir-path',
    ].map((name) => `--${name}=${directory}`),
    `--tmpdir=${scratch}`,
    `--pid-file=${join(scratch, 'pid')}`,
    `--socket=${join(privateDirectory, 's')}`,
    ...[
      '--skip-networking',
      '--skip-grant-tables',
      '--skip-log-bin',
      '--skip-slave-start',
      '--event-scheduler=DISABLED',
    ],
    ...['--disable-log-error', '--skip-general-log', '--skip-slow-query-log', '--skip-read-only', '--init-file='],
    // Where else Galera would keep its files is the real server's.
    `--wsrep-data-home-dir=${directory}`,
    ...[
      '--skip-innodb-strict-mode',
      '--max-statement-time=0',
      '--wsrep-notify-cmd=',
      '--wsrep-gtid-mode=OFF',
      `--max-allowed-packet=${logicalLimits.packetBytesMax}`,
    ],
  ];
}

/** A server of ours beside the one that waits for us: nobody but us can reach it, and it ends with us. */
export class TemporaryServer implements AsyncDisposable {
  readonly options: ServerOptions;
  readonly #child: Child;
  readonly #argv: readonly string[];

  private constructor(child: Child, argv: readonly string[], options: ServerOptions) {
    this.#child = child;
    this.#argv = argv;
    this.options = options;
  }

  /** Starts it, and resolves when it answers. Throws CHILD_FAILED with its last words, TIMED_OUT, and the signal's reason. */
  static async start(argv: readonly string[], place: TemporaryPlace, signal: AbortSignal): Promise<TemporaryServer> {
    signal.throwIfAborted();
    const child = await spawnTethered(argv, { env: toolEnvironment(), cwd: place.directory });
    const options = { socketPath: join(place.privateDirectory, 's'), user: 'root' };
    const server = new TemporaryServer(child, argv, options);
    child.stdin.end();
    child.stdout.resume();
    try {
      await server.#untilAnswers(signal);
      return server;
    } catch (error) {
      await child.terminate(0);
      throw error;
    }
  }

  /** Ends it in order: then its data needs no recovery. Throws CHILD_FAILED, TIMED_OUT. */
  async stop(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(logicalLimits.endMsMax)]);
    const end = (): void => void this.#child.terminate(0);
    limit.addEventListener('abort', end, { once: true });
    const terminate = (): void => void this.#child.terminate(logicalLimits.endMsMax);
    await runStatement(this.options, 'SHUTDOWN', answerMsMax, signal).catch(terminate);
    const exit = await this.#child.exited;
    limit.removeEventListener('abort', end);
    signal.throwIfAborted();
    if (exit.code !== 0) throw this.#failure(childError(this.#argv, exit));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.terminate(0);
  }

  async #untilAnswers(signal: AbortSignal): Promise<void> {
    let hasEnded = false;
    void this.#child.exited.then(() => (hasEnded = true));
    for (const endsMs = performance.now() + logicalLimits.startMsMax; performance.now() < endsMs; ) {
      if (hasEnded) throw this.#failure(childError(this.#argv, await this.#child.exited));
      try {
        await runStatement(this.options, 'SELECT 1', answerMsMax, signal);
        return;
      } catch {
        await pause(lookMs, signal);
      }
    }
    throw new BatonError(
      'TIMED_OUT',
      `a temporary server has not answered within ${logicalLimits.startMsMax / 1000} s`,
    );
  }

  #failure(cause: BatonError): BatonError {
    const said = cause.message.split('\n').filter((line) => /\[ERROR\]/.test(line));
    return new BatonError(
      'CHILD_FAILED',
      `the temporary server on the dump has failed: ${said.at(-1) ?? cause.message.slice(-500)}`,
      {
        hint: 'the options of this server have to fit what the donor has sent',
        cause,
      },
    );
  }
}
