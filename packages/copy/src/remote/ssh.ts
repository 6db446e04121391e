import { basename } from 'node:path';
import { quoteWord } from '@batondb/core/text/words';
import { sshDestination } from '../endpoint.ts';

// How an agent is started on a remote host. Pure: the argument list is made here and run elsewhere.
// The contract for other remote shells is docs/remote-shell.md.

/** What it takes to start the agent of a host. */
export type RemoteRequest = {
  /** The remote shell: program and its first arguments. */
  readonly ssh: readonly string[];
  readonly endpoint: { readonly host: string; readonly user: string | undefined };
  /** Path of baton on the host: one path, no arguments. A leading `~/` is the login directory. */
  readonly agent: string;
  /** Run the agent under `sudo -n`. */
  readonly sudo: boolean;
};

/**
 * Only for OpenSSH's client. What the user writes on the command line comes first and wins; these win over configuration
 * files, since a copy must not forward, prompt or run what an interactive login wants.
 */
const opensshOptions: readonly string[] = [
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

/** The argument list: `SSH… [options] DESTINATION COMMAND`, COMMAND being one string for a POSIX shell. */
export function remoteCommand(request: RemoteRequest): string[] {
  return remoteScript(request, agentCommand(request));
}

/** The same with another command. */
export function remoteScript({ ssh, endpoint }: Pick<RemoteRequest, 'ssh' | 'endpoint'>, script: string): string[] {
  return [...ssh, ...(isOpenssh(ssh) ? opensshOptions : []), sshDestination(endpoint), script];
}

/** Whether the remote shell is OpenSSH's client (by its name), whose options and messages are known. */
export function isOpenssh(ssh: readonly string[]): boolean {
  return basename(ssh[0] ?? '') === 'ssh';
}

/** A command for a person to run by hand on the host, by the same remote shell: `ssh -F my.conf a true`. */
export function commandByHand(request: RemoteRequest, options: readonly string[], command: string): string {
  return [...request.ssh, ...options, sshDestination(request.endpoint)].map(quoteWord).concat(command).join(' ');
}

/** `exec`, so that no shell stays between: the end of the connection is the end of the agent's stdin. */
function agentCommand(request: RemoteRequest): string {
  const agent = quotePath(request.agent);
  return request.sudo ? `exec sudo -n -- ${agent} agent` : `exec ${agent} agent`;
}

/** Quotes a path where it needs it; a leading `~/` stays outside of the quotes, for the shell to expand. */
function quotePath(path: string): string {
  return path.startsWith('~/') ? `~/${quoteWord(path.slice(2))}` : quoteWord(path);
}
