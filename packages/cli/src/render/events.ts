import type { Carrying, CopyEvent, Finding, NotKept, SourceChange, TargetResult } from '@batondb/copy/events';
import { formatBytes, formatCount, formatDuration } from '@batondb/core/text/format';
import { pad, paint, type Style } from './style.ts';

// One event as lines for people. Pure; the text in events is printable already.

export type Volume = 'quiet' | 'normal' | 'verbose';

/** How many of a list are shown before the rest is counted. */
const listedMax = 20;
/** What stands in the place of a label in further lines. */
const margin = ' '.repeat(9);

/** The lines of an event that happened; progress, plan and summary have modules of their own and are none here. */
export function eventLines(event: CopyEvent, volume: Volume, style: Style): string[] {
  switch (event.type) {
    case 'findings':
      return findingLines(event.findings, volume, style);
    case 'target-failed':
      return failedLines(event.result, style);
    case 'unit-damaged':
      return [
        `${paint(style, 'yellow', 'damaged')}  ${event.target}: unit ${event.unit} was not what its digest says and is fetched again ` +
          `(${event.path}, ${formatBytes(event.length)} at ${event.offset})`,
      ];
    default:
      return volume === 'quiet' ? [] : newsLines(event, volume, style);
  }
}

/** Agents on their way, a line each: what has been handed over of all. */
export function carryingLines(carrying: Iterable<Carrying>): string[] {
  return [...carrying].map(
    ({ host, sentBytes, totalBytes }) => `carrying ${host}: ${formatBytes(sentBytes)} of ${formatBytes(totalBytes)}`,
  );
}

/** What a person who did not ask for quiet wants to know while it happens. */
function newsLines(event: CopyEvent, volume: Volume, style: Style): string[] {
  switch (event.type) {
    case 'resumed': {
      const discarded =
        event.discardedFiles === 0 ? '' : `; ${formatCount(event.discardedFiles, 'file')} changed since and start anew`;
      return [
        `resumed  ${event.target}: ${formatBytes(event.keptBytes)} in ${formatCount(event.keptUnits, 'unit')} are there from before${discarded}`,
      ];
    }
    case 'rerouted':
      return [
        `${paint(style, 'yellow', 'rerouted')} ${event.target}: now from ${event.to} instead of ${event.from} (${event.reason})`,
      ];
    case 'not-kept':
      return [notKeptLine(event.notKept, style)];
    case 'target-done':
      return [
        `${paint(style, 'green', 'done')}     ${event.result.target}: ${event.result.finalPath} after ${formatDuration(event.result.durationMs)}`,
      ];
    case 'replication':
      return [`replica  ${event.state}: ${event.threads.length === 0 ? 'nothing ran' : event.threads.join(', ')}`];
    case 'scanned':
      return scannedLines(event, volume);
    case 'carrying':
      return event.sentBytes === 0 ? [`carrying ${event.host}: ${formatBytes(event.totalBytes)} of baton itself`] : [];
    case 'carried':
      return [`carried  ${event.host}: ${event.path} after ${formatDuration(event.durationMs)}`];
    case 'host':
      return volume === 'verbose' ? [`host     ${event.host}: baton ${event.version}`] : [];
    case 'firewall':
      return volume === 'verbose' ? [firewallLine(event)] : [];
    case 'source-change':
      return volume === 'verbose' ? [changeLine(event.change, style)] : [];
    default:
      return [];
  }
}

/** What a target did about its firewall. */
function firewallLine({ target, did, port, addresses, where }: Extract<CopyEvent, { type: 'firewall' }>): string {
  const told = {
    opened: `port ${port} is open for ${addresses.join(', ')} (${where})`,
    nothing: `left as it is: ${where}`,
    unable: `could not be opened: ${where}`,
  };
  return `firewall ${target}: ${told[did]}`;
}

/** All findings at once: errors first, each with its host, what it is, and the next step. */
export function findingLines(findings: readonly Finding[], volume: Volume, style: Style): string[] {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const warnings = volume === 'quiet' ? [] : findings.filter(({ severity }) => severity === 'warning');
  return [...errors, ...warnings].flatMap(({ severity, host, error }) => {
    const label = severity === 'error' ? paint(style, 'red', 'problem') : paint(style, 'yellow', 'warning');
    // Messages may name their host themselves.
    const what = error.message.startsWith(`${host}:`) ? error.message : `${host}: ${error.message}`;
    return messageLines(label, what, error.hint, style);
  });
}

/** Why a target failed. */
export function failedLines(result: TargetResult, style: Style): string[] {
  const { target, error } = result;
  // What failed a target may have happened on another host, such as the one before it in the chain.
  const isElsewhere = error?.host !== undefined && error.host !== 'localhost' && !target.startsWith(error.host);
  const message = `${target}: ${isElsewhere ? `${error.host}: ` : ''}${error?.message ?? 'no reason was given'}`;
  return messageLines(paint(style, 'red', 'failed'), message, error?.hint, style);
}

/** The files that changed during the copy: the first few, the rest counted. */
export function changeLines(changes: readonly SourceChange[], total: number, style: Style): string[] {
  if (total === 0) return [];
  const shown = changes.slice(0, listedMax).map((change) => `  ${changeLine(change, style)}`);
  const rest = total - shown.length;
  const title = `${formatCount(total, 'source file')} changed, vanished or could not be read during the copy:`;
  return [
    paint(style, 'yellow', title),
    ...shown,
    ...(rest > 0 ? [`  … and ${rest.toLocaleString('en-US')} more`] : []),
  ];
}

function scannedLines(event: CopyEvent & { type: 'scanned' }, volume: Volume): string[] {
  const total = event.skippedSocketsTotal;
  if (total === 0) return [];
  const names =
    volume === 'verbose' ? event.skippedSockets.slice(0, listedMax).map((name) => `           ${name}`) : [];
  return [`skipped  ${formatCount(total, 'socket')}: a socket belongs to the process that listens on it`, ...names];
}

function notKeptLine(notKept: NotKept, style: Style): string {
  const { target, what, count, example, reason } = notKept;
  return `${paint(style, 'yellow', 'not kept')} ${target}: ${what} of ${formatCount(count, 'entry', 'entries')} (${reason}), for example ${example}`;
}

function changeLine(change: SourceChange, style: Style): string {
  return `${paint(style, 'yellow', change.what.padEnd(10))} ${change.path}`;
}

/** A message behind its label: further lines (a program's last words) below its first, then the hint. */
function messageLines(label: string, message: string, hint: string | undefined, style: Style): string[] {
  const [first = '', ...further] = message.trimEnd().split('\n');
  const hints = hint === undefined ? [] : [paint(style, 'dim', `hint: ${hint}`)];
  return [pad(label, margin.length) + first, ...[...further, ...hints].map((line) => margin + line)];
}
