import { isOpenssh, opensshOptions } from '@batondb/core/process/ssh';
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

/** The argument list: `SSH… [options] DESTINATION COMMAND`, COMMAND being one string for a POSIX shell. */
export function remoteCommand(request: RemoteRequest): string[] {
  return remoteScript(request, agentCommand(request));
}

/** The same with another command. */
export function remoteScript({ ssh, endpoint }: Pick<RemoteRequest, 'ssh' | 'endpoint'>, script: string): string[] {
  return [...ssh, ...(isOpenssh(ssh) ? opensshOptions : []), sshDestination(endpoint), script];
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
