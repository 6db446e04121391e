import type { Difference, SideProgress, VerifyEvent, VerifyResult, VerifySummary } from '@batondb/copy/verify/events';
import type { ErrorRecord } from '@batondb/core/errors';
import { formatBytes, formatCount, formatDuration, formatRate } from '@batondb/core/text/format';
import { failureLines } from '../failure.ts';
import type { Output } from '../output.ts';
import type { VerifyRequest } from '../verify-command.ts';
import { failedLines, findingLines, type Volume } from './events.ts';
import { jsonLine } from './json.ts';
import { plainProgressLine, progressBlock } from './progress.ts';
import { Screen } from './screen.ts';
import { fit, type Look, pad, paint, printableValue, type Style, widthOf } from './style.ts';
import { restoreCursor } from './terminal.ts';

/** Shows a comparison. Each call resolves when its text is written. */
export type VerifyRenderer = {
  event(event: VerifyEvent): Promise<void>;
  failure(error: ErrorRecord, exitCode: number): Promise<void>;
  /** Leaves the terminal as it was. */
  close(): Promise<void>;
};

type Styles = { readonly stdout: Style; readonly stderr: Style };

/** A log wants to know that it goes on, not every second of it. */
const plainProgressMs = 10_000;

/** Differences and summary on stdout, the course of things on stderr; with `--json` all events on stdout. */
export function makeVerifyRenderer(
  { view, shownMax, options }: VerifyRequest,
  stdout: Output,
  stderr: Output,
  environment: NodeJS.ProcessEnv,
): VerifyRenderer {
  if (view.form === 'json') return renderJson(stdout, stderr);
  const isPlain = environment['TERM'] === 'dumb';
  const hasColor = (output: Output): boolean => output.isTerminal && !environment['NO_COLOR'] && !isPlain;
  const styles = { stdout: { hasColor: hasColor(stdout) }, stderr: { hasColor: hasColor(stderr) } };
  const screen = stderr.isTerminal && !isPlain && view.volume !== 'quiet' ? new Screen() : undefined;
  const limit = new ShownLimit(shownMax);
  if (screen !== undefined) process.on('exit', restoreCursor);
  let progressAtMs = Date.now();
  const clear = async (): Promise<void> => {
    if (screen !== undefined) await stderr.write(screen.end());
  };
  return {
    event: async (raw) => {
      const event = printableValue(raw);
      if (event.type !== 'verify-progress') {
        const { result, news } = linesOf(event, view.volume, options.quick, limit, styles);
        if (result.length + news.length > 0) await clear();
        await stderr.writeLines(news);
        await stdout.writeLines(result);
      } else if (screen !== undefined) {
        const { columns, rows } = stderr.size;
        // One row is the cursor's; a line of full width would wrap on some terminals.
        await stderr.write(screen.draw([], sideLines(event.sides, columns - 1, rows - 1, styles.stderr)));
      } else if (view.volume !== 'quiet' && Date.now() - progressAtMs >= plainProgressMs) {
        progressAtMs = Date.now();
        await stderr.writeLines(event.sides.map(plainSideLine));
      }
    },
    failure: async (error) => {
      await clear();
      await stderr.writeLines(failureLines(error));
    },
    close: async () => {
      await clear();
      process.off('exit', restoreCursor);
    },
  };
}

function renderJson(stdout: Output, stderr: Output): VerifyRenderer {
  const write = (event: object): Promise<void> => stdout.writeLines([jsonLine(event, Date.now())]);
  return {
    event: write,
    failure: async (error, exitCode) => {
      await write({ type: 'error', error, exitCode });
      await stderr.writeLines(failureLines(error));
    },
    close: () => Promise.resolve(),
  };
}

/** Counts what is shown of each target. */
class ShownLimit {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  isShown(target: string): boolean {
    const count = (this.#counts.get(target) ?? 0) + 1;
    this.#counts.set(target, count);
    return count <= this.#max;
  }

  hidden(target: string): number {
    return Math.max(0, (this.#counts.get(target) ?? 0) - this.#max);
  }
}

/** An event as lines: `result` is what was asked for, `news` what happened on the way. */
function linesOf(
  event: VerifyEvent,
  volume: Volume,
  isQuick: boolean,
  limit: ShownLimit,
  styles: Styles,
): { readonly result: readonly string[]; readonly news: readonly string[] } {
  switch (event.type) {
    case 'findings':
      return { result: [], news: findingLines(event.findings, volume, styles.stderr) };
    case 'host':
      return { result: [], news: volume === 'verbose' ? [`host     ${event.host}: baton ${event.version}`] : [] };
    case 'comparison': {
      if (!event.dryRun) return { result: [], news: [] };
      const targets = event.targets.map(({ target, path }) => `target   ${target}  →  ${path}`);
      return { result: [`source   ${event.source}`, ...targets, 'dry run: nothing was compared'], news: [] };
    }
    case 'difference': {
      const isShown = limit.isShown(event.target);
      return { result: isShown ? [differenceLine(event.target, event.difference, styles.stdout)] : [], news: [] };
    }
    case 'verify-summary':
      return { result: verifySummaryLines(event.summary, volume, isQuick, limit, styles.stdout), news: [] };
    default:
      return { result: [], news: [] };
  }
}

const looks: Readonly<Record<VerifyResult['state'], Look>> = {
  same: 'green',
  different: 'red',
  incomplete: 'yellow',
  failed: 'red',
};

/** One difference: what, where, and both values. */
export function differenceLine(target: string, difference: Difference, style: Style): string {
  const { what, path } = difference;
  const look = what === 'changed-meanwhile' || what === 'unreadable' ? 'yellow' : 'red';
  const label = paint(style, look, what.padEnd(10));
  return `${label} ${target}: ${path}${detailOf(difference)}`;
}

function detailOf({ what, source, target, units, entries, side, reason }: Difference): string {
  if (units !== undefined) {
    const named = units.first.map(({ offset, length }) => `${formatBytes(length)} at ${offset}`).join(', ');
    const more = units.total > units.first.length ? ', …' : '';
    return `: ${formatCount(units.total, 'unit')} ${units.total === 1 ? 'differs' : 'differ'} (${named}${more})`;
  }
  if (entries !== undefined) {
    return entries > 1 ? `, with ${formatCount(entries - 1, 'entry', 'entries')} in it` : '';
  }
  if (side !== undefined) {
    const where = side === 'both' ? 'both sides' : `the ${side}`;
    const why = reason === undefined ? '' : ` (${reason})`;
    return what === 'unreadable' ? ` cannot be read on ${where}${why}` : `, on ${where}, while it was read`;
  }
  return `: ${source ?? '?'} at the source, ${target ?? '?'} here`;
}

/** What came out for each target, and how much was looked at. */
function verifySummaryLines(
  summary: VerifySummary,
  volume: Volume,
  isQuick: boolean,
  limit: ShownLimit,
  style: Style,
): string[] {
  const lines = summary.targets.flatMap((result) => resultLines(result, volume, limit, style));
  if (volume === 'quiet') return lines;
  const { entries, files, bytes, durationMs } = summary;
  const rate = durationMs > 0 ? `, ${formatRate(bytes / (durationMs / 1000))}` : '';
  const read = isQuick ? 'no content was read' : `${formatBytes(bytes)} compared${rate}`;
  const size = `${formatCount(files, 'file')} in ${formatCount(entries, 'entry', 'entries')}`;
  return [...lines, `total      ${size} in ${formatDuration(durationMs)}; ${read}`];
}

function resultLines(result: VerifyResult, volume: Volume, limit: ShownLimit, style: Style): string[] {
  const { target, path, state, differences, unknown, error } = result;
  if (state === 'same' && volume === 'quiet') return [];
  const hidden = limit.hidden(target);
  const more = hidden === 0 ? [] : [`           ${formatCount(hidden, 'more')} of ${target} not shown: --show, --json`];
  if (state === 'failed') {
    const failed = { target, finalPath: path, state, contentBytes: 0, resumedBytes: 0, wireBytes: 0, durationMs: 0 };
    return [...more, ...failedLines(error === undefined ? failed : { ...failed, error }, style)];
  }
  const counts = [
    ...(differences === 0 ? [] : [formatCount(differences, 'difference')]),
    ...(unknown === 0 ? [] : [`${unknown.toLocaleString('en-US')} could not be compared`]),
  ];
  const label = paint(style, looks[state], state.padEnd(10));
  return [...more, `${label} ${path}${counts.length === 0 ? '' : `  ${counts.join(', ')}`}`];
}

/** A line for each side: bars where the whole is known. */
function sideLines(sides: readonly SideProgress[], columns: number, rows: number, style: Style): string[] {
  const known = sides.flatMap(asTarget);
  if (known.length === sides.length) return progressBlock(known, columns, rows, style);
  const width = Math.max(...sides.map(({ side }) => widthOf(side)));
  return sides.slice(0, Math.max(1, rows)).map((side) => fit(`${pad(side.side, width)}  ${readText(side)}`, columns));
}

function plainSideLine(side: SideProgress): string {
  const [known] = asTarget(side);
  return known === undefined ? `progress ${side.side}: ${readText(side)}` : plainProgressLine(known);
}

function readText({ doneEntries, doneBytes, rateBytesPerSecond }: SideProgress): string {
  return `${formatCount(doneEntries, 'entry', 'entries')}, ${formatBytes(doneBytes)}, ${formatRate(rateBytesPerSecond)}`;
}

/** As the progress of a target, if the whole is known. */
function asTarget(progress: SideProgress): Parameters<typeof plainProgressLine>[0][] {
  const { side, state, doneBytes, doneFiles, totalBytes, totalFiles, rateBytesPerSecond, etaSeconds } = progress;
  if (totalBytes === undefined || totalFiles === undefined) return [];
  const phase = state === 'reading' ? 'verifying' : state;
  return [{ target: side, phase, doneBytes, totalBytes, doneFiles, totalFiles, rateBytesPerSecond, etaSeconds }];
}
