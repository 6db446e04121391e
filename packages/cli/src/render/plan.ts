import type { PlannedTarget, PlanSummary } from '@batondb/copy/events';
import { formatBytes, formatCount } from '@batondb/core/text/format';
import type { Volume } from './events.ts';
import { pad, paint, type Style, widthOf } from './style.ts';

/** What will be done: final paths, sizes, and (asked for by `--dry-run` or `--verbose`) where the data goes. */
export function planLines(plan: PlanSummary, dryRun: boolean, volume: Volume, style: Style): string[] {
  if (volume === 'quiet' && !dryRun) return [];
  const lines = [`${paint(style, 'bold', 'source')}   ${plan.source}: ${sizeOf(plan)}`];
  const nameWidth = Math.max(...plan.targets.map(({ name }) => widthOf(name)));
  for (const target of plan.targets) {
    const where = `${pad(target.name, nameWidth)}  →  ${target.finalPath}${notesOn(target)}`;
    lines.push(`${paint(style, 'bold', 'target')}   ${where}`);
  }
  if (plan.incremental !== undefined) {
    const { base, fromLsn } = plan.incremental;
    lines.push(`${paint(style, 'bold', 'backup')}   incremental from LSN ${fromLsn}, where ${base} ends`);
  }
  if (plan.unpacks) lines.push('unpacked on the targets; how much it holds is not known before');
  if (dryRun || volume === 'verbose') {
    for (const hop of plan.hops)
      lines.push(
        `${paint(style, 'bold', 'hop')}      ${hop.from} → ${hop.to}  (${formatAddress(hop.address, hop.port)})`,
      );
    lines.push(`${paint(style, 'bold', 'manifest')} ${plan.manifestDigest}`);
  }
  return dryRun ? [...lines, 'dry run: nothing was copied'] : lines;
}

function notesOn({ resumedBytes, updates, isAnew }: PlannedTarget): string {
  const update = updates ? '  (brought up to date: takes the place of what is there)' : '';
  if (isAnew) return '  (anew: what a broken run left there is removed)';
  return resumedBytes === 0 ? update : `${update}  (continues: ${formatBytes(resumedBytes)} are there)`;
}

function sizeOf({ isStream, files, entries, contentBytes, units }: PlanSummary): string {
  if (isStream) return 'a stream, read once';
  const content = `${formatBytes(contentBytes)} in ${formatCount(units, 'unit')}`;
  return `${formatCount(files, 'file')} in ${formatCount(entries, 'entry', 'entries')}, ${content}`;
}

function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
