import { existsSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { servicePath } from './layout.ts';
import { type Ran, runProgram } from './run-program.ts';

// What we install is run once as the server will run it: as its user, and where its service hides and protects directories.

/** Properties of a service that have kept programs of others from running; what the unit says of them is what counts. */
const properties = [
  ...['ProtectHome', 'ProtectSystem', 'PrivateTmp', 'PrivateDevices', 'NoNewPrivileges', 'MemoryDenyWriteExecute'],
  ...[
    'ProtectControlGroups',
    'ProtectKernelTunables',
    'RestrictSUIDSGID',
    'SystemCallFilter',
    'SystemCallArchitectures',
  ],
  ...['RestrictAddressFamilies', 'RestrictNamespaces', 'LockPersonality', 'ReadOnlyPaths', 'InaccessiblePaths'],
];

/** Where no systemd runs: its ProtectHome, ProtectSystem=full, PrivateTmp and NoNewPrivileges, by hand. */
const protect = `
for hidden in /home /root /run/user; do
  [ ! -d "$hidden" ] || mount -t tmpfs -o ro,mode=000 none "$hidden"
done
for fixed in /usr /boot /etc; do
  [ ! -d "$fixed" ] || { mount --rbind "$fixed" "$fixed" && mount -o remount,ro,bind "$fixed"; }
done
mount -t tmpfs -o mode=1777 none /tmp
cd /
exec setpriv --reuid=mysql --regid=mysql --init-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`;

/** How commands are run: `systemd`: with the properties of the server's unit. `namespace`: with what that unit has in Debian. */
export type SandboxKind = 'systemd' | 'namespace';

export function sandboxKind(): SandboxKind {
  return existsSync('/run/systemd/system') ? 'systemd' : 'namespace';
}

/** Runs a command as the server's user, with the PATH of a service and nothing else of our environment. Needs root. */
export async function runInSandbox(kind: SandboxKind, argv: readonly string[], signal: AbortSignal): Promise<Ran> {
  const environment = { PATH: servicePath };
  if (kind === 'namespace') {
    return await runProgram(['unshare', '--mount', 'sh', '-ec', protect, 'sh', ...argv], signal, environment);
  }
  const given = await unitProperties(signal);
  const asService = ['systemd-run', '--quiet', '--wait', '--pipe', '--collect', ...given.map((each) => `-p${each}`)];
  return await runProgram([...asService, '-pUser=mysql', '-pGroup=mysql', ...argv], signal, environment);
}

async function unitProperties(signal: AbortSignal): Promise<string[]> {
  const wanted = properties.map((name) => `--property=${name}`);
  const { code, stdout, stderr } = await runProgram(['systemctl', 'show', 'mariadb.service', ...wanted], signal);
  if (code !== 0) throw new BatonError('CHILD_FAILED', `systemctl does not tell of mariadb.service: ${stderr.trim()}`);
  return stdout.split('\n').filter((line) => /^\w+=./.test(line));
}
