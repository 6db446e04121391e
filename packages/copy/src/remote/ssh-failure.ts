import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { isOpenssh } from '@batondb/core/process/ssh';
import { quoteWord } from '@batondb/core/text/words';
import { formatHost } from '../endpoint.ts';
import { commandByHand, type RemoteRequest } from './ssh.ts';

// Why an agent could not be started, from what the remote shell and the far side said. The words are those of OpenSSH 9.2
// (checked in the tests against a real client and server), of dash and bash, and of sudo 1.9. What is not recognised is
// shown as it is: a wrong guess would be worse than none.

/** How the remote shell ended before the agent said a word. */
export type RemoteExit = {
  readonly code: number | undefined;
  readonly signal?: string | undefined;
  readonly stderrTail: string;
};

type Diagnosis = {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  /** What happened, as a sentence without its host. `detail` is the line that matched. */
  readonly what: (detail: string, request: RemoteRequest) => string;
  readonly hint: (request: RemoteRequest) => string | undefined;
  readonly retryable?: boolean;
};

const interactive = ['-o', 'StrictHostKeyChecking=ask'];

/** The first that matches wins: what ssh itself says comes before what it may quote of the far side. */
const diagnoses: readonly Diagnosis[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY/,
    code: 'UNKNOWN_HOST_KEY',
    what: () =>
      'its host key is NOT the one that is known: somebody may be listening in, or the host was installed anew',
    hint: () =>
      'compare the fingerprint with the administrator of the host by another way, before anything else; do not just remove the old key',
  },
  {
    pattern: /Host key verification failed/,
    code: 'UNKNOWN_HOST_KEY',
    what: () => 'its host key is not known',
    hint: (request) =>
      `compare the fingerprint that this shows, and accept it: ${commandByHand(request, interactive, 'true')}`,
  },
  {
    pattern: /^.*: Permission denied \([^)]*\)\.?$/m,
    code: 'UNREACHABLE',
    what: (detail) => `the login was refused: ${detail}`,
    hint: (request) => `see which keys are offered: ${commandByHand(request, ['-v', '-o', 'BatchMode=yes'], 'true')}`,
  },
  {
    pattern: /Too many authentication failures/,
    code: 'UNREACHABLE',
    what: () => 'the login was refused after too many keys were tried',
    hint: () => 'name the right key for this host in the ssh configuration: IdentityFile and IdentitiesOnly yes',
  },
  {
    pattern: /Could not resolve hostname.*/,
    code: 'UNREACHABLE',
    what: (detail) => `the name cannot be resolved: ${detail}`,
    hint: () => 'check the spelling, or name the host in the ssh configuration',
  },
  {
    pattern:
      /ssh: connect to host .*: (Connection timed out|Operation timed out|No route to host|Network is unreachable|Connection refused)|Connection timed out during banner exchange/,
    code: 'UNREACHABLE',
    what: (detail) => `it did not answer: ${detail}`,
    hint: () => 'check that the host is up, that sshd listens there, and that no firewall is in between',
    retryable: true,
  },
  {
    pattern:
      /Bad configuration option.*|Can't open user config file.*|terminating, \d+ bad configuration options|Unable to negotiate with.*/,
    code: 'UNREACHABLE',
    what: (detail) => `ssh refused to connect: ${detail}`,
    hint: () => 'check the --ssh option and the ssh configuration',
  },
  {
    pattern: /sudo: (a password is required|a terminal is required|no tty present|sorry, you must have a tty).*/,
    code: 'NO_PERMISSION',
    what: (detail) => `sudo asks for a password: ${detail}`,
    hint: sudoersLine,
  },
  {
    pattern: /is not in the sudoers file|is not allowed to (execute|run sudo).*|may not run sudo.*/,
    code: 'NO_PERMISSION',
    what: (detail) => `sudo refused: ${detail}`,
    hint: sudoersLine,
  },
  {
    pattern: /sudo: .*: command not found/,
    code: 'AGENT_MISSING',
    what: (_detail, request) => `sudo finds no ${request.agent} (it searches only its secure_path)`,
    hint: () => 'name it by its whole path: --agent /usr/local/bin/baton',
  },
  {
    pattern: /exec: sudo: (not found|cannot execute).*|sudo: (command )?not found/,
    code: 'UNSUPPORTED',
    what: () => 'sudo is not installed there',
    hint: () => 'leave out --sudo for this host',
  },
  {
    pattern: /env: .?node.?: No such file or directory/,
    code: 'AGENT_MISSING',
    what: (_detail, request) => `${request.agent} is there, but no node to run it`,
    hint: () => 'install Node.js 18 or newer there, or a PATH for non-interactive logins that holds it',
  },
  {
    pattern: /(baton|exec): .*(not found|No such file or directory)|(command )?not found|No such file or directory/,
    code: 'AGENT_MISSING',
    what: (_detail, request) => `no ${request.agent} was found there`,
    hint: (request) =>
      `install baton there, or name it by its whole path with --agent; a login's PATH shows: ${commandByHand(request, [], quoteWord('echo $PATH'))}`,
  },
  {
    pattern: /(cannot execute|Permission denied).*/,
    code: 'AGENT_MISSING',
    what: (detail, request) => `${request.agent} cannot be executed there: ${detail}`,
    hint: () => 'name an executable with --agent',
  },
  {
    pattern: /Connection (to .* )?(closed|reset).*|Broken pipe|Timeout, server .* not responding.*/,
    code: 'UNREACHABLE',
    what: (detail) => `the connection ended before the agent answered: ${detail}`,
    hint: () => 'try again; the log of sshd on the host says more',
    retryable: true,
  },
];

/** Exit codes of a shell: 126 found but not executable, 127 not found. Only then the far side's words are about the agent. */
const agentCodes = new Set([126, 127]);

/** The error that says why no agent answered on a host: code, what happened there, and the next step. */
export function explainSshFailure(request: RemoteRequest, exit: RemoteExit): BatonError {
  const host = formatHost(request.endpoint);
  for (const diagnosis of diagnoses) {
    const detail = diagnosis.pattern.exec(exit.stderrTail)?.[0].trim();
    if (detail === undefined || !isPossible(diagnosis, request, exit)) continue;
    const hint = diagnosis.hint(request);
    return new BatonError(diagnosis.code, diagnosis.what(detail, request), {
      host,
      retryable: diagnosis.retryable ?? false,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return unexplained(request, exit, host);
}

function isPossible(diagnosis: Diagnosis, request: RemoteRequest, exit: RemoteExit): boolean {
  const isOfAgent = diagnosis.code === 'AGENT_MISSING' && !diagnosis.pattern.source.startsWith('sudo');
  if (isOfAgent) return exit.code !== undefined && agentCodes.has(exit.code);
  // Other remote shells have words of their own; 255 is ssh's own failure.
  const isOfSsh = diagnosis.code === 'UNREACHABLE' || diagnosis.code === 'UNKNOWN_HOST_KEY';
  return !isOfSsh || (isOpenssh(request.ssh) && exit.code === 255);
}

/** sysexits.h EX_UNAVAILABLE, by which baton's launcher says that it found no Node.js that is new enough. */
const launcherCode = 69;

function unexplained(request: RemoteRequest, exit: RemoteExit, host: string): BatonError {
  const shell = request.ssh[0] ?? 'ssh';
  const how =
    exit.code === undefined ? `was killed by ${exit.signal ?? 'a signal'}` : `ended with exit code ${exit.code}`;
  const words = exit.stderrTail === '' ? 'and said nothing' : `and said: ${exit.stderrTail}`;
  const isLauncher = exit.code === launcherCode;
  return new BatonError(
    isLauncher ? 'AGENT_MISSING' : 'UNREACHABLE',
    `${shell} ${how} before the agent answered, ${words}`,
    {
      host,
      retryable: !isLauncher,
      hint: `see what this says: ${commandByHand(request, [], quoteWord(`${request.agent} --version`))}`,
    },
  );
}

function sudoersLine(request: RemoteRequest): string {
  const agent = request.agent.startsWith('/') ? request.agent : `/path/of/${request.agent.split('/').at(-1)}`;
  return `allow it without a password on the host, in /etc/sudoers.d/baton: ${request.endpoint.user ?? 'USER'} ALL=(root) NOPASSWD: ${agent} agent`;
}
