import type { CleanResult } from '@batondb/copy';
import { formatBytes, formatCount, formatDuration } from '@batondb/core/text/format';
import { paint, type Style } from './style.ts';

/** What was found in a directory and what became of it. */
export function cleanLines(results: readonly CleanResult[], dryRun: boolean, nowMs: number, style: Style): string[] {
  const lines = results.map((result) => {
    const label = result.removed
      ? paint(style, 'green', 'removed')
      : dryRun && result.reason === undefined
        ? 'found  '
        : paint(style, 'yellow', 'kept   ');
    const reason = result.reason === undefined ? '' : `: ${result.reason}`;
    const age = formatDuration(Math.max(0, nowMs - result.createdMs));
    return `${label}  ${result.path}  ${formatBytes(result.bytes)} of ${result.source}, begun ${age} ago${reason}`;
  });
  const removed = results.filter((result) => result.removed);
  const bytes = removed.reduce((sum, result) => sum + result.bytes, 0);
  if (results.length === 0) return ['nothing is left of any copy there'];
  return dryRun
    ? [...lines, 'dry run: nothing was removed']
    : [...lines, `removed ${formatCount(removed.length, 'copy', 'copies')}, ${formatBytes(bytes)}`];
}
