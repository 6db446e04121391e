import { join } from 'node:path';

/** Where things are on a node. All paths are absolute. */
export type NodeLayout = {
  /** The runtime and what goes with it; nobody but root writes there. */
  readonly library: string;
  /** A directory that is on the server's PATH. */
  readonly programs: string;
  /** Where systemd looks for units. */
  readonly units: string;
  readonly key: string;
};

/** Of `baton galera install`: what an administrator installs beside the packages of a distribution. */
export const localLayout: NodeLayout = {
  library: '/usr/local/lib/baton',
  programs: '/usr/local/bin',
  units: '/etc/systemd/system',
  key: '/etc/mysql/baton.key',
};

/** Of a package, whose places are those of a distribution. */
export const packageLayout: NodeLayout = {
  library: '/usr/lib/baton',
  programs: '/usr/bin',
  units: '/usr/lib/systemd/system',
  key: localLayout.key,
};

/** The runtime's command, whichever version is the current one. */
export function runtimeProgram({ library }: NodeLayout): string {
  return join(library, 'current/bin/baton');
}

/** What a systemd service has as its PATH unless somebody has said otherwise: systemd.exec(5). */
export const servicePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin';
