import { type CheckFinding, checkNode } from '@batondb/galera/node/check/check-node';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { type Look, pad, paint, printableValue, type Style } from '../render/style.ts';
import type { CommandContext } from '../service/context.ts';
import type { NodeFlags } from './node-command.ts';

/** Returns 30 when something keeps transfers from working. */
export async function runCheck(words: readonly string[], flags: NodeFlags, context: CommandContext): Promise<number> {
  const { stdout, environment } = context;
  const { signal } = context.watchInterruption();
  const findings = await checkNode(words, signal);
  const style = { hasColor: stdout.isTerminal && environment['NO_COLOR'] === undefined };
  await stdout.writeLines(
    flags.json
      ? findings.map((finding) => jsonLine({ type: 'finding', ...finding }, Date.now()))
      : findings.flatMap((finding) => findingLines(finding, style)),
  );
  return findings.some(({ severity }) => severity === 'error') ? exitCodes.refused : exitCodes.ok;
}

const looks: Readonly<Record<CheckFinding['severity'], Look>> = { ok: 'green', warning: 'yellow', error: 'red' };
const labelWidth = 9;

/** Pure. */
export function findingLines(told: CheckFinding, style: Style): string[] {
  const { severity, subject, text, nextStep } = printableValue(told);
  const lines = [`${pad(paint(style, looks[severity], severity), labelWidth)}${subject}: ${text}`];
  return nextStep === undefined ? lines : [...lines, `${' '.repeat(labelWidth)}next: ${nextStep}`];
}
