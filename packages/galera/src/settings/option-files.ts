// What the server's option files say, asked of the server's own program, so that includes, groups and suffixes mean what they mean to it.
import { text } from 'node:stream/consumers';
import { BatonError } from '@batondb/core/errors';
import { spawnChild } from '@batondb/core/process/child';
import { findProgram, toolEnvironment } from '@batondb/mariadb/client';
import type { Call } from '../contract/call.ts';
import { parseOptionWords } from '../contract/option-words.ts';
import { limits } from './limits.ts';

/** Options by name, with `-` for `_`; one without a value has ''. */
export type Options = ReadonlyMap<string, string>;

/** The options of the groups that matter to a transfer. */
export type OptionGroups = {
  /** `[sst]`. */
  readonly sst: Options;
  /** `[mariabackup]` and `[xtrabackup]`: other methods' groups, which may hold security options of a transfer, too. */
  readonly backup: Options;
  /** All groups that the server itself reads. */
  readonly server: Options;
};

/** Reads the groups. Throws UNSUPPORTED without `my_print_defaults`, CHILD_FAILED when it fails, TIMED_OUT, and the signal's reason. */
export async function readOptionGroups(call: Call, signal: AbortSignal): Promise<OptionGroups> {
  const program = findProgram('my_print_defaults');
  if (program === undefined) {
    throw new BatonError(
      'UNSUPPORTED',
      'this machine has no my_print_defaults, which reads the option files of the server',
      {
        hint: 'it is a part of the server: in Debian of mariadb-server-core, or of mysql-client-core',
      },
    );
  }
  const { defaultsFile, defaultsExtraFile, groupSuffix } = call.optionFiles;
  const files = [
    ...(defaultsFile === undefined ? [] : [`--defaults-file=${defaultsFile}`]),
    ...(defaultsExtraFile === undefined ? [] : [`--defaults-extra-file=${defaultsExtraFile}`]),
    ...(groupSuffix === undefined ? [] : [`--defaults-group-suffix=${groupSuffix}`]),
    // MySQL's prints asterisks instead of passwords otherwise.
    ...(call.dialect === 'pxc' ? ['--show'] : []),
  ];
  const read = async (...groups: string[]): Promise<Options> =>
    parseOptionWords((await printed([program, ...files, ...groups], signal)).split('\n'));
  // MariaDB's own list of groups depends on its version; MySQL's program has no such option.
  const server = call.dialect === 'pxc' ? ['mysqld', 'server'] : ['--mysqld'];
  return { sst: await read('sst'), backup: await read('xtrabackup', 'mariabackup'), server: await read(...server) };
}

async function printed(argv: readonly string[], signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  await using child = await spawnChild(argv, { detached: true, env: toolEnvironment() });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limits.optionFilesMsMax)]);
  const end = (): void => void child.terminate(0);
  limit.addEventListener('abort', end, { once: true });
  try {
    const [stdout, { code, stderrTail }] = await Promise.all([text(child.stdout), child.exited]);
    signal.throwIfAborted();
    if (limit.aborted) throw new BatonError('TIMED_OUT', `${argv[0]} took longer than ${limits.optionFilesMsMax} ms`);
    if (code === 0) return stdout;
    throw new BatonError('CHILD_FAILED', `the option files of the server cannot be read: ${stderrTail}`, {
      hint: `run: ${argv.join(' ')}`,
    });
  } finally {
    limit.removeEventListener('abort', end);
  }
}
