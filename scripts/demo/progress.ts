import type { TargetProgress } from '@batondb/copy/events';
import { formatBytes, formatCount, formatRate } from '@batondb/core/text/format';
import type { Screen } from './screen.ts';

const barWidthMax = 28;
const barWidthMin = 4;

/** A line per target: where it is, with a bar as wide as there is room. */
export function progressLines(targets: readonly TargetProgress[], screen: Screen): string[] {
  const nameWidth = Math.max(...targets.map(({ target }) => target.length));
  return targets.map((progress) => progressLine(progress, nameWidth, screen));
}

function progressLine(progress: TargetProgress, nameWidth: number, screen: Screen): string {
  const { target, phase, doneBytes, totalBytes, doneFiles, rateBytesPerSecond } = progress;
  const fraction = totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
  const percent = `${String(Math.floor(fraction * 100)).padStart(3)} %`;
  const counts = `${formatBytes(doneBytes).padStart(8)}  ${formatCount(doneFiles, 'file').padStart(11)}`;
  const rate = phase === 'receiving' ? formatRate(rateBytesPerSecond) : '';
  const before = `${target.padEnd(nameWidth)}  `;
  const after = `  ${percent}  ${phase.padEnd(9)}  ${counts}  ${rate.padStart(10)}`;
  const barWidth = Math.min(barWidthMax, screen.progressColumns - before.length - after.length);
  if (barWidth < barWidthMin) return (before + after).slice(0, screen.progressColumns).trimEnd();
  const full = Math.round(fraction * barWidth);
  const look = phase === 'failed' ? 'red' : phase === 'done' ? 'green' : 'cyan';
  return (
    before + screen.paint(look, '█'.repeat(full)) + screen.paint('dim', '░'.repeat(barWidth - full)) + after.trimEnd()
  );
}
