import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { formatHost } from '../endpoint.ts';
import type { RemoteRequest } from './ssh.ts';

// What a script of the far side said of why it cannot keep an agent, as one error with its next step.

/** `PLACE kind why` about a directory, or `FAILED kind why` about the bundle. */
export type FarProblem = { readonly report: 'PLACE' | 'FAILED'; readonly kind: string; readonly text: string };

/** The problem of a report. */
export function readProblem(report: FarProblem['report'], text: string): FarProblem {
  const blank = text.indexOf(' ');
  return { report, kind: blank < 0 ? text : text.slice(0, blank), text: blank < 0 ? '' : text.slice(blank + 1).trim() };
}

type Meaning = { readonly code: ErrorCode; readonly hint: string };

const elsewhere =
  'or give the login an XDG_CACHE_HOME on a file system that suits, or install baton there and name it with --agent';

/** A failed write has the reason in the words of the C locale; the first that matches counts. */
const writeMeanings: readonly (readonly [RegExp, Meaning])[] = [
  [
    /No space left on device|Disk quota exceeded/,
    { code: 'NO_SPACE', hint: `make room there (an agent needs about 190 MiB while it is unpacked), ${elsewhere}` },
  ],
  [/Read-only file system/, { code: 'READ_ONLY', hint: `make a directory for it that can be written, ${elsewhere}` }],
  [
    /Permission denied|Operation not permitted/,
    { code: 'NO_PERMISSION', hint: `let the login write there, ${elsewhere}` },
  ],
  [/not found/, { code: 'UNSUPPORTED', hint: `install the coreutils, tar and gzip there, ${elsewhere}` }],
];

const meanings: Readonly<Record<string, Meaning>> = {
  SPACE: { code: 'NO_SPACE', hint: `make room there, ${elsewhere}` },
  NOEXEC: { code: 'UNSUPPORTED', hint: `nothing can be executed there: mount it without noexec, ${elsewhere}` },
  UNSAFE: {
    code: 'NOT_TRUSTED',
    hint: `whoever can write there could have their own program run: take that right away, ${elsewhere}`,
  },
  DIGEST: {
    code: 'DIGEST_MISMATCH',
    hint: 'something between here and there changes bytes: look at what --ssh names, and try again',
  },
  CUT: { code: 'UNREACHABLE', hint: 'try again; the log of sshd on the host says more' },
};

const unknown: Meaning = { code: 'SYSTEM', hint: `see what this says about the host, ${elsewhere}` };

/** The error of some problems; undefined when there were none. All are named, the first one gives the code. */
export function explainFarSide(request: RemoteRequest, problems: readonly FarProblem[]): BatonError | undefined {
  const failed = problems.find(({ report }) => report === 'FAILED');
  const telling = failed ?? problems[0];
  if (telling === undefined) return undefined;
  const { code, hint } = meaningOf(telling);
  const what =
    failed === undefined
      ? `no directory there can have it: ${problems.map(describe).join('; ')}`
      : `it could not be unpacked: ${describe(failed)}`;
  const host = formatHost(request.endpoint);
  return new BatonError(code, `baton cannot be carried there: ${what}`, {
    host,
    hint,
    retryable: telling.kind === 'CUT',
  });
}

function meaningOf({ kind, text }: FarProblem): Meaning {
  const written = kind === 'WRITE' ? writeMeanings.find(([pattern]) => pattern.test(text))?.[1] : meanings[kind];
  return written ?? unknown;
}

function describe({ kind, text }: FarProblem): string {
  if (kind === 'DIGEST') return `what arrived is not what was sent (SHA-256 ${text})`;
  return kind === 'NOEXEC' ? `${text} (mounted noexec?)` : text;
}
