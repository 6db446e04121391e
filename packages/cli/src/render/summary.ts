import type { CopySummary, TargetResult } from '@batondb/copy/events';
import { formatBytes, formatCount, formatDuration, formatRate } from '@batondb/core/text/format';
import { changeLines, failedLines, type Volume } from './events.ts';
import { pad, paint, type Style, widthOf } from './style.ts';

/** What became of every target, what changed at the source, and the digests to compare with later. */
export function summaryLines(summary: CopySummary, volume: Volume, style: Style): string[] {
  const failed = summary.targets.filter(({ state }) => state === 'failed');
  const changes = changeLines(summary.changes, summary.changesTotal, style);
  if (volume === 'quiet') return [...failed.flatMap((result) => failedLines(result, style)), ...changes];
  const pathWidth = Math.max(0, ...summary.targets.map((result) => widthOf(placeOf(result))));
  return [
    ...summary.targets.flatMap((result) =>
      result.state === 'done'
        ? [doneLine(result, pathWidth, style), ...unpackedLines(result, style)]
        : failedLines(result, style),
    ),
    ...changes,
    totalLine(summary),
    ...positionLines(summary),
    ...digestLines(summary),
  ];
}

/** How to go on after a failure: a rerun continues, or of a stream begins anew. */
export function rerunLines(commandLine: string, isAnew: boolean): string[] {
  return [isAnew ? 'to begin anew:' : 'to continue where this stopped:', `  ${commandLine}`];
}

function doneLine(result: TargetResult, pathWidth: number, style: Style): string {
  const moved = result.contentBytes - result.resumedBytes;
  const rate = result.durationMs > 0 ? `, ${formatRate(moved / (result.durationMs / 1000))}` : '';
  const resumed = result.resumedBytes === 0 ? '' : `, ${formatBytes(result.resumedBytes)} of it from before`;
  const wire = `; on the wire ${formatBytes(result.wireBytes)}${ratioText(moved, result.wireBytes)}`;
  return `${paint(style, 'green', 'done')}     ${pad(placeOf(result), pathWidth)}  ${formatBytes(result.contentBytes)}${resumed} in ${formatDuration(result.durationMs)}${rate}${wire}`;
}

/** What an archive held, and what of it has no place: a person wants to know of files that are not there. */
function unpackedLines({ target, unpacked }: TargetResult, style: Style): string[] {
  if (unpacked === undefined) return [];
  const { entries, files, contentBytes, skipped } = unpacked;
  const what = `${formatCount(files, 'file')} in ${formatCount(entries, 'entry', 'entries')}, ${formatBytes(contentBytes)}`;
  const lines = [`unpacked ${target}: ${what}`];
  if (skipped === 0) return lines;
  const reason = 'they have no name without the first component of their path';
  return [...lines, `${paint(style, 'yellow', 'skipped')}  ${target}: ${formatCount(skipped, 'member')}: ${reason}`];
}

function totalLine(summary: CopySummary): string {
  const done = summary.targets.filter(({ state }) => state === 'done');
  const sockets = summary.skippedSockets === 0 ? '' : `, ${formatCount(summary.skippedSockets, 'socket')} skipped`;
  // How much content a failed target got is not known, and so the ratio is not.
  const isComplete = done.length === summary.targets.length;
  const moved = isComplete ? done.reduce((sum, result) => sum + result.contentBytes - result.resumedBytes, 0) : 0;
  return (
    `total    ${formatCount(summary.files, 'file')} in ${formatCount(summary.entries, 'entry', 'entries')}${sockets}, ${formatBytes(summary.contentBytes)} ` +
    `to ${done.length} of ${formatCount(summary.targets.length, 'target')} in ${formatDuration(summary.durationMs)}; ` +
    `on the wire ${formatBytes(summary.wireBytes)}${ratioText(moved, summary.wireBytes)}`
  );
}

/** Where a backup ends: once, as it is the same on every target. */
function positionLines({ targets }: CopySummary): string[] {
  const position = targets.find(({ backup }) => backup !== undefined)?.backup?.position;
  return position === undefined ? [] : [`position ${position.split('\n').join('\n         ')}`];
}

/** The digests: equal ones once, since that they are equal is what a person looks for. */
function digestLines(summary: CopySummary): string[] {
  const digests = Map.groupBy(
    summary.targets.filter(({ treeDigest }) => treeDigest !== undefined),
    ({ treeDigest }) => treeDigest,
  );
  const trees = [...digests].map(([digest, results]) => {
    const where =
      digests.size === 1
        ? results.length === 1
          ? ''
          : `  (the same on ${results.length} targets)`
        : `  (${results.map(({ target }) => target).join(', ')})`;
    return `tree     ${digest}${where}`;
  });
  return [`manifest ${summary.manifestDigest}`, ...trees];
}

/** `, ratio 1.96`: content per byte sent. Where nothing moved there is none. */
function ratioText(contentBytes: number, wireBytes: number): string {
  return contentBytes > 0 && wireBytes > 0 ? `, ratio ${(contentBytes / wireBytes).toFixed(2)}` : '';
}

/** Where the copy is, with its host: as the plan shows it. */
function placeOf({ target, finalPath }: TargetResult): string {
  return finalPath.startsWith(target) ? finalPath : `${target} → ${finalPath}`;
}
