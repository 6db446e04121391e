import { readFileSync } from 'node:fs';
import { Server } from '@batondb/mariadb';
import { findProgram } from '@batondb/mariadb/client';
import { parseServerVersion, type ServerVersion } from '@batondb/mariadb/version';
import type { ReadSettings } from '../../settings/settings.ts';
import { servicePath } from '../layout.ts';
import type { NodeOptions } from '../node-options.ts';
import { runProgram } from '../run-program.ts';

/** A node as the checks see it. */
export type Node = {
  readonly options: NodeOptions;
  /** Undefined where `[sst]` itself is at fault. */
  readonly read: ReadSettings | undefined;
  /** The server when it runs and lets us in. */
  readonly server: Server | undefined;
  /** Of the server that runs, or else of the installed program; undefined when there is none. */
  readonly version: ServerVersion | undefined;
  /** Where the server looks for programs. */
  readonly searchPath: string;
};

/** Connects to a server that runs, as the user who asks; undefined when its socket is not there. Throws what Server.connect throws. */
export async function connectIfRunning(socketPath: string, signal: AbortSignal): Promise<Server | undefined> {
  try {
    return await Server.connect({ socketPath }, signal);
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === 'NOT_FOUND' || code === 'UNREACHABLE') return undefined;
    throw error;
  }
}

/** The version of the installed server, as it prints it: `mariadbd  Ver 10.11.19-MariaDB-… for …`. */
export async function installedVersion(signal: AbortSignal): Promise<ServerVersion | undefined> {
  const program = ['mariadbd', 'mysqld'].map((name) => findProgram(name)).find((path) => path !== undefined);
  if (program === undefined) return undefined;
  const { stdout } = await runProgram([program, '--no-defaults', '--version'], signal);
  const [, version] = / Ver (\S+)/.exec(stdout) ?? [];
  return version === undefined ? undefined : parseServerVersion(version, stdout);
}

/** The PATH of a running server, from its environment where we may read that; else that of a service. */
export async function serverPath(server: Server | undefined, signal: AbortSignal): Promise<string> {
  if (server === undefined) return servicePath;
  try {
    const [row] = await server.query('SELECT @@pid_file AS pid_file', signal);
    const processId = readFileSync(row?.get('pid_file') ?? '', 'utf8').trim();
    const environment = readFileSync(`/proc/${processId}/environ`, 'utf8').split('\0');
    return environment.find((line) => line.startsWith('PATH='))?.slice('PATH='.length) ?? servicePath;
  } catch {
    // Another user's, or a pid file that says nothing: the usual is the best guess.
    return servicePath;
  }
}
