import type { Finding } from '@batondb/sync/finding';
import { Mapping } from '@batondb/sync/mapping/mapping';
import { checkPostgres } from '@batondb/sync/postgres/check';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { type Look, pad, paint, printableValue, type Style } from '../render/style.ts';
import type { CommandContext } from '../service/context.ts';
import { mappingOf, publicationsOf } from './options.ts';
import { checkSink, sourcePlace } from './places.ts';
import type { CheckFlags } from './setup-command.ts';

// What `check` finds: what is in order, what may come to matter, and what keeps a sync from running, each with its next step.

/** Returns 30 when something keeps the sync from running. */
export async function runCheck(flags: CheckFlags, context: CommandContext): Promise<number> {
  const { stdout, environment } = context;
  const place = sourcePlace(flags, environment);
  const mapping = new Mapping(mappingOf(flags));
  const { signal } = context.watchInterruption();
  const { slot } = flags;
  const wish = { slot, publications: publicationsOf(flags), includes: mapping.includes.bind(mapping) };
  const ofSource = await checkPostgres(place, wish, signal);
  const ofSink = flags.to === undefined ? [] : await checkSink(flags, place.address.database, environment);
  const findings = [...ofSource, ...ofSink];
  const style = { hasColor: stdout.isTerminal && environment['NO_COLOR'] === undefined };
  const lines = flags.json
    ? findings.map((finding) => jsonLine({ type: 'finding', ...finding }, Date.now()))
    : findings.flatMap((finding) => findingLines(finding, style));
  await stdout.writeLines(lines);
  return findings.some(({ severity }) => severity === 'error') ? exitCodes.refused : exitCodes.ok;
}

const looks: Readonly<Record<Finding['severity'], Look>> = { ok: 'green', warning: 'yellow', error: 'red' };
const labelWidth = 9;

/** A finding for people: what is, and where it is not in order what is needed and what to do. Pure. */
export function findingLines(told: Finding, style: Style): string[] {
  const { severity, what, is, needed, nextStep } = printableValue(told);
  const label = pad(paint(style, looks[severity], severity), labelWidth);
  if (severity === 'ok') return [`${label}${what}: ${is}`];
  const margin = ' '.repeat(labelWidth);
  return [
    `${label}${what}: ${is}`,
    `${margin}needed: ${needed}`,
    ...(nextStep === undefined ? [] : [`${margin}next:   ${nextStep}`]),
  ];
}
