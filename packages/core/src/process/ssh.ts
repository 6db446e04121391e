import { basename } from 'node:path';

/**
 * Only for OpenSSH's client. What the user writes on the command line comes first and wins; these win over configuration
 * files, since a copy must not forward, prompt or run what an interactive login wants.
 */
export const opensshOptions: readonly string[] = [
  // No terminal, no X11, no agent forwarding: the far side gets what it needs and nothing else.
  ...['-T', '-x', '-a'],
  // A question would wait for ever; its answer belongs to a person, whom our error tells what to do.
  ...['-o', 'BatchMode=yes'],
  // A host that went away is noticed after 6 seconds, so that everything ends within 10.
  ...['-o', 'ServerAliveInterval=2', '-o', 'ServerAliveCountMax=3', '-o', 'ConnectTimeout=10'],
  // An existing master connection is used. Becoming one would keep ours alive after the copy, for others' sessions.
  ...['-o', 'ControlMaster=no', '-o', 'ControlPersist=no'],
  // A forwarding or command of the configuration would collide with the user's other sessions or with our command.
  ...['-o', 'ClearAllForwardings=yes', '-o', 'RemoteCommand=none', '-o', 'PermitLocalCommand=no'],
];

/** Whether the remote shell is OpenSSH's client (by its name), whose options and messages are known. */
export function isOpenssh(ssh: readonly string[]): boolean {
  return basename(ssh[0] ?? '') === 'ssh';
}
