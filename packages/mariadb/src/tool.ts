import { dirname, join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { type Child, spawnChild } from '@batondb/core/process/child';
import { findProgram, toolEnvironment } from './client.ts';
import { limits } from './limits.ts';
import { formatNumbers, formatVersion, isAtLeast, type Numbers, parseNumbers, type ServerVersion } from './version.ts';

/** `mariadb-backup` (older name: mariabackup) for MariaDB, `xtrabackup` for MySQL and Percona Server. */
export type ToolKind = 'mariadb-backup' | 'xtrabackup';

export type ToolVersion = {
  readonly kind: ToolKind;
  /** Of the tool itself: of mariadb-backup that of its server. */
  readonly own: Numbers;
  /** Of the server that it was built from. */
  readonly basedOn: Numbers;
  /** What `--version` printed, one line. */
  readonly text: string;
};

/** An installed backup tool that fits a server. */
export type BackupTool = {
  readonly kind: ToolKind;
  /** Absolute path of the tool. */
  readonly program: string;
  /** Absolute path of what unpacks its streams: `mbstream` or `xbstream`. */
  readonly unpackProgram: string;
  readonly version: ToolVersion;
};

/**
 * Reads what `--version` prints: `mariadb-backup based on MariaDB server 10.11.19-MariaDB …`, `xtrabackup version 8.0.35-30
 * based on MySQL server 8.0.35 …`. Undefined for anything else.
 */
export function parseToolVersion(output: string): ToolVersion | undefined {
  const line = output.split('\n').find((candidate) => candidate.includes(' based on ')) ?? '';
  const [, ownText, family, basedOnText] =
    /(?: version (\S+))? based on (MariaDB|MySQL) server (\d[^\s]*)/.exec(line) ?? [];
  const basedOn = parseNumbers(basedOnText ?? '');
  if (basedOn === undefined) return undefined;
  const kind = family === 'MariaDB' ? 'mariadb-backup' : 'xtrabackup';
  return { kind, own: parseNumbers(ownText ?? '') ?? basedOn, basedOn, text: line.trim() };
}

/**
 * Whether a tool can back up a server, and its backups be unpacked and prepared. mariadb-backup: the same major and minor
 * version, and not older than the server. xtrabackup: the series of the server (2.4 is that of 5.6 and 5.7); up to 8.0.33 it must
 * not be older, and since then Percona releases one tool for many servers of a series and it refuses by itself what it does not know.
 */
export function toolFits(server: ServerVersion, tool: ToolVersion): boolean {
  const { basedOn } = tool;
  if ((server.family === 'mariadb') !== (tool.kind === 'mariadb-backup')) return false;
  if (server.family !== 'mariadb' && server.major === 5) {
    return tool.own.major === 2 && tool.own.minor === 4 && (server.minor === 6 || server.minor === 7);
  }
  if (server.major !== basedOn.major || server.minor !== basedOn.minor) return false;
  const judgesItself = tool.kind === 'xtrabackup' && isAtLeast(basedOn, 8, 0, 34);
  return judgesItself || basedOn.patch >= server.patch;
}

/** The Debian package of a tool that fits a server. */
export function debianPackage({ family, major, minor }: ServerVersion): string {
  if (family === 'mariadb') return 'mariadb-backup';
  return major === 5 ? 'percona-xtrabackup-24' : `percona-xtrabackup-${major}${minor}`;
}

/** Runs `PROGRAM --version`. Throws UNSUPPORTED when it is no backup tool or says nothing for too long, CHILD_FAILED when it cannot be started. */
export async function toolVersion(program: string, signal: AbortSignal): Promise<ToolVersion> {
  signal.throwIfAborted();
  // mariadb-backup prints it to stderr in some versions and to stdout in others.
  await using child = await spawnChild([program, '--no-defaults', '--version'], {
    detached: true,
    env: toolEnvironment(),
  });
  const end = (): void => void child.terminate(0);
  signal.addEventListener('abort', end, { once: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, limits.versionMsMax);
  try {
    const [stdout, { stderrTail }] = await Promise.all([readHead(child, limits.versionBytesMax), child.exited]);
    signal.throwIfAborted();
    if (isLate) {
      throw new BatonError(
        'UNSUPPORTED',
        `${program} has not said its version within ${limits.versionMsMax / 1000} s, and was ended`,
        { hint: `run ${program} --version as the server's user` },
      );
    }
    const version = parseToolVersion(`${stdout}\n${stderrTail}`);
    if (version !== undefined) return version;
    throw new BatonError(
      'UNSUPPORTED',
      `${program} is not a backup tool that we know: it says '${stdout.trim().slice(0, 200)}'`,
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/** What a child says at first. It is ended when it says more. */
async function readHead(child: Child, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      await child.terminate(0);
      break;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/**
 * The installed tool that fits a server, and its unpacker. To be asked on the source and on every target, with the version of
 * the source's server. `searchPath` is a list of directories as in PATH; the system's own are searched after it.
 * Throws UNSUPPORTED when there is none or none fits: the error names both versions and the Debian package.
 */
export async function chooseTool(
  server: ServerVersion,
  signal: AbortSignal,
  searchPath: string = process.env['PATH'] ?? '',
): Promise<BackupTool> {
  const isMariadb = server.family === 'mariadb';
  const names = isMariadb ? ['mariadb-backup', 'mariabackup'] : ['xtrabackup'];
  const hint = isMariadb
    ? `apt-get install ${debianPackage(server)}`
    : `apt-get install ${debianPackage(server)}, from Percona's repository`;
  const found: ToolVersion[] = [];
  for (const name of names) {
    const program = findProgram(name, searchPath);
    if (program === undefined) continue;
    const version = await toolVersion(program, signal);
    found.push(version);
    if (toolFits(server, version)) return { ...withUnpacker(program, isMariadb, searchPath, hint), version };
  }
  const [first] = found;
  const what =
    first === undefined
      ? `this machine has no ${names.join(' and no ')}`
      : `${first.kind} ${formatNumbers(first.own)}${first.kind === 'xtrabackup' ? ` (for MySQL ${formatNumbers(first.basedOn)})` : ''} is installed`;
  throw new BatonError('UNSUPPORTED', `the server is ${formatVersion(server)}, and ${what}`, { hint });
}

function withUnpacker(
  program: string,
  isMariadb: boolean,
  searchPath: string,
  hint: string,
): Pick<BackupTool, 'kind' | 'program' | 'unpackProgram'> {
  const name = isMariadb ? 'mbstream' : 'xbstream';
  // Beside the tool first: several versions may be installed.
  const unpackProgram = findProgram(name, `${dirname(program)}:${searchPath}`);
  if (unpackProgram === undefined) {
    const message = `${program} is installed, and ${join(dirname(program), name)} is not`;
    throw new BatonError('UNSUPPORTED', message, { hint });
  }
  return { kind: isMariadb ? 'mariadb-backup' : 'xtrabackup', program, unpackProgram };
}
