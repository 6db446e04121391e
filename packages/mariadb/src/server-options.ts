import { accessSync, constants, lstatSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits } from './limits.ts';

/**
 * How a server is reached: always by its Unix socket, so that it is a server of this machine and its files are here.
 * A password never passes through Baton: it is the tools that read the files named here.
 */
export type ServerOptions = {
  /** Absolute path of the server's socket. */
  readonly socketPath: string;
  /** The database's user. Default: what the files below say, else the operating system's user (`unix_socket`). */
  readonly user?: string;
  /**
   * Absolute path of an option file with a `[client]` group, read after the system's own ones. Others must not be able to
   * write it: the tools would ignore it without a word.
   */
  readonly defaultsFile?: string;
  /** A name in `~/.mylogin.cnf` (mysql_config_editor). Only MySQL's own client and xtrabackup know these. */
  readonly loginPath?: string;
};

/**
 * The options with which every tool reaches the server; those that must come first come first. The host is named since an
 * option file may name another one, and the tools would go there, past the socket, also with `--protocol=socket`.
 */
export function connectionArguments(options: ServerOptions): string[] {
  const { socketPath, user, defaultsFile, loginPath } = options;
  return [
    ...(defaultsFile === undefined ? [] : [`--defaults-extra-file=${defaultsFile}`]),
    ...(loginPath === undefined ? [] : [`--login-path=${loginPath}`]),
    '--host=localhost',
    `--socket=${socketPath}`,
    ...(user === undefined ? [] : [`--user=${user}`]),
  ];
}

/**
 * Checks what can be checked without the server. Throws USAGE for what no path can be, NOT_FOUND when the socket or the option
 * file does not exist, UNSUPPORTED when the socket is none, NO_PERMISSION when either cannot be used.
 */
export function checkServerOptions(options: ServerOptions): void {
  const { socketPath, defaultsFile } = options;
  checkPath(socketPath, 'the socket of a server');
  if (Buffer.byteLength(socketPath) > limits.socketPathBytesMax) {
    const length = `${Buffer.byteLength(socketPath)} bytes, and a socket's may have ${limits.socketPathBytesMax}`;
    throw new BatonError('USAGE', `${socketPath}: the path has ${length}`);
  }
  try {
    if (!statSync(socketPath).isSocket()) {
      throw new BatonError('UNSUPPORTED', `${socketPath} is not a socket`, {
        hint: 'name the socket of the running server: SELECT @@socket tells it',
      });
    }
    accessSync(socketPath, constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toBatonError(error, { path: socketPath });
    throw new BatonError('NOT_FOUND', `${socketPath}: there is no such socket`, {
      hint: 'is the server running? SELECT @@socket tells where its socket is',
      cause: error,
    });
  }
  if (defaultsFile !== undefined) checkDefaultsFile(defaultsFile);
}

function checkDefaultsFile(path: string): void {
  checkPath(path, 'an option file');
  let mode: number;
  try {
    accessSync(path, constants.R_OK);
    ({ mode } = lstatSync(path));
  } catch (error) {
    throw toBatonError(error, { path });
  }
  if ((mode & 0o002) !== 0 && (mode & 0o170000) === 0o100000) {
    throw new BatonError(
      'NO_PERMISSION',
      `${path}: everybody may write this option file, so the tools would ignore it`,
      {
        hint: `chmod 600 ${path}`,
      },
    );
  }
}

function checkPath(path: string, what: string): void {
  if (isAbsolute(path) && !path.includes('\0')) return;
  throw new BatonError('USAGE', `'${path}' is not the absolute path of ${what}`);
}
