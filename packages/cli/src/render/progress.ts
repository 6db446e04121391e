import type { TargetPhase, TargetProgress } from '@batondb/copy/events';
import { formatBytes, formatDuration, formatRate } from '@batondb/core/text/format';
import { fit, type Look, pad, paint, type Style, widthOf } from './style.ts';

// Progress of targets as lines: pure functions of what is known and of the width there is.

const barWidthMax = 30;
const barWidthMin = 8;
/** Terminals narrower than this have no room for a bar. */
const barColumnsMin = 60;
const nameWidthMin = 8;

const phaseLooks: Readonly<Record<TargetPhase, Look>> = {
  checking: 'dim',
  receiving: 'bold',
  finishing: 'bold',
  verifying: 'bold',
  unpacking: 'bold',
  preparing: 'bold',
  done: 'green',
  failed: 'red',
};

/** A line for a log: `progress db2: 42 %, 860 MiB of 2.00 GiB, 210 MiB/s, ETA 6 s, 8,100 of 20,000 files`. */
export function plainProgressLine(progress: TargetProgress): string {
  const { target, phase } = progress;
  const parts = [
    `${percentOf(progress)} %`,
    bytesText(progress),
    rateText(progress),
    etaText(progress),
    filesText(progress),
  ];
  const phaseText = phase === 'receiving' ? '' : `${phase}, `;
  return `progress ${target}: ${phaseText}${parts.filter((part) => part !== '').join(', ')}`;
}

/**
 * One line per target, all of one shape, none wider than `columns` and not more than `rows`. Where the terminal is too low
 * the targets at work come first and the others are counted; where it is narrow, the least important columns go.
 */
export function progressBlock(
  targets: readonly TargetProgress[],
  columns: number,
  rows: number,
  style: Style,
): string[] {
  const isCut = targets.length > Math.max(1, rows);
  const shown = isCut ? byInterest(targets).slice(0, Math.max(1, rows - 1)) : targets;
  const nameWidth = Math.max(
    nameWidthMin,
    Math.min(Math.max(...shown.map(({ target }) => widthOf(target))), Math.floor(columns / 3)),
  );
  const lines = shown.map((progress) => progressLine(progress, nameWidth, columns, style));
  const rest = targets.slice().filter((progress) => !shown.includes(progress));
  return rest.length > 0 && rows > 1
    ? [...lines, fit(`… and ${rest.length} more: ${countPhases(rest)}`, columns)]
    : lines;
}

/** The line of one target. Columns have fixed widths, so that nothing jumps while numbers grow. */
function progressLine(progress: TargetProgress, nameWidth: number, columns: number, style: Style): string {
  const { target, phase } = progress;
  // In order of importance; what does not fit any more is left out, and so is all that follows.
  const candidates = [
    `${percentOf(progress).padStart(3)} %`,
    pad(phase, 9),
    pad(rateText(progress), 10),
    pad(etaText(progress), 12),
    pad(bytesText(progress), 20),
    filesText(progress).padEnd(filesText({ ...progress, doneFiles: progress.totalFiles }).length),
  ];
  const cells: string[] = [];
  // The bar is what people look at: it gives way to files and bytes only where hardly anything fits.
  let width = nameWidth + (columns < barColumnsMin ? 0 : 2 + barWidthMin);
  for (const cell of candidates) {
    if (width + 2 + widthOf(cell) > columns) break;
    width += 2 + widthOf(cell);
    cells.push(cell);
  }
  const barWidth = Math.min(barWidthMax, barWidthMin + columns - width);
  const bar = columns < barColumnsMin ? [] : [barText(progress, barWidth)];
  const painted = cells.map((cell, index) => (index === 1 ? paint(style, phaseLooks[phase], cell) : cell));
  return [pad(fit(target, nameWidth), nameWidth), ...bar, ...painted].join('  ').trimEnd();
}

function barText({ doneBytes, totalBytes, phase }: TargetProgress, width: number): string {
  const fraction = totalBytes === 0 ? (phase === 'done' ? 1 : 0) : Math.min(1, doneBytes / totalBytes);
  const full = Math.floor(fraction * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** Rounded down: 100 is said only when all is there. */
function percentOf({ doneBytes, totalBytes, phase }: TargetProgress): string {
  if (totalBytes === 0 && phase === 'done') return '100';
  // Of a stream, nobody knows.
  if (totalBytes === 0) return doneBytes === 0 ? '0' : '?';
  return String(Math.min(100, Math.floor((100 * doneBytes) / totalBytes)));
}

function bytesText({ doneBytes, totalBytes }: TargetProgress): string {
  const done = formatBytes(doneBytes);
  return totalBytes === 0 && doneBytes > 0 ? done : `${done} of ${formatBytes(totalBytes)}`;
}

function rateText({ phase, rateBytesPerSecond }: TargetProgress): string {
  return phase === 'done' || phase === 'failed' ? '' : formatRate(rateBytesPerSecond);
}

function etaText({ phase, etaSeconds }: TargetProgress): string {
  return etaSeconds === undefined || phase === 'done' || phase === 'failed'
    ? ''
    : `ETA ${formatDuration(etaSeconds * 1000)}`;
}

/** What is one file, or has none, is told by its bytes alone. */
function filesText({ doneFiles, totalFiles }: TargetProgress): string {
  if (totalFiles === 0) return '';
  return `${doneFiles.toLocaleString('en-US')} of ${totalFiles.toLocaleString('en-US')} ${totalFiles === 1 ? 'file' : 'files'}`;
}

const interest: readonly TargetPhase[] = [
  'receiving',
  'unpacking',
  'verifying',
  'finishing',
  'failed',
  'checking',
  'done',
];

function byInterest(targets: readonly TargetProgress[]): TargetProgress[] {
  return targets.toSorted((a, b) => interest.indexOf(a.phase) - interest.indexOf(b.phase));
}

function countPhases(targets: readonly TargetProgress[]): string {
  const counted = interest.map(
    (phase) => [phase, targets.filter((progress) => progress.phase === phase).length] as const,
  );
  return counted.flatMap(([phase, count]) => (count === 0 ? [] : [`${count} ${phase}`])).join(', ');
}
