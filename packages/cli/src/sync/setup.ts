import { prepareSetup, prepareTearDown, setUp, tearDown } from '@batondb/sync/postgres/setup';
import type { SetupWish, Statement } from '@batondb/sync/postgres/setup-plan';
import { exitCodes } from '../exit-codes.ts';
import { usage } from '../option-values.ts';
import { jsonLine } from '../render/json.ts';
import { printableText } from '../render/style.ts';
import { confirm } from '../service/confirm.ts';
import type { CommandContext } from '../service/context.ts';
import { type ChoiceFlags, publicationsOf, type SourceFlags } from './options.ts';
import { sourcePlace } from './places.ts';
import type { DropFlags, SetupFlags } from './setup-command.ts';

// What `setup` and `drop` do and print: SQL on standard output, as it is run or would be, so that it can be read, kept, or given to somebody who may.

export async function runSetup(flags: SetupFlags, context: CommandContext): Promise<number> {
  const place = sourcePlace(flags, context.environment);
  const wish = wishOf(flags);
  const { signal } = context.watchInterruption();
  const said = statementWriter(flags, context);
  if (flags.dryRun) {
    const { statements, notes } = await prepareSetup(place, wish, signal);
    statements.forEach(said.statement);
    await said.end(notes, 'nothing was done');
    return exitCodes.ok;
  }
  const { statements, notes } = await setUp(place, wish, said.statement, signal);
  await said.end(notes, statements.length === 0 ? 'nothing had to be done' : 'set up: baton sync check is next');
  return exitCodes.ok;
}

export async function runDrop(flags: DropFlags, context: CommandContext): Promise<number> {
  const place = sourcePlace(flags, context.environment);
  const wish = { slot: flags.slot, publication: onePublication(flags) };
  const { signal } = context.watchInterruption();
  const said = statementWriter(flags, context);
  if (flags.dryRun) {
    (await prepareTearDown(place, wish, signal)).forEach(said.statement);
    await said.end([], 'nothing was done');
    return exitCodes.ok;
  }
  const what = `the slot ${wish.slot} and the publication ${wish.publication} of ${place.address.database} are dropped`;
  if (!(await confirm(`${what}, and a sync that comes back has to dump`, flags.yes ?? false, context))) {
    await context.stderr.writeLines(['nothing was changed']);
    return exitCodes.interrupted;
  }
  const statements = await tearDown(place, wish, said.statement, signal);
  await said.end([], statements.length === 0 ? 'there was nothing to be dropped' : 'dropped');
  return exitCodes.ok;
}

function wishOf(flags: SetupFlags): SetupWish {
  const { slot, schema, include, exclude, columns, where, allowUnboundedSlot = false } = flags;
  return {
    slot,
    publication: onePublication(flags),
    schemas: schema,
    includes: includesOf({ include, exclude }),
    columnsOf: (name) => columns.find(({ table }) => table.matches(name))?.columns,
    filterOf: (name) => where.find(({ table }) => table.matches(name))?.where,
    allowsUnboundedSlot: allowUnboundedSlot,
  };
}

/** Undefined where nothing was chosen: then tables that come later belong to it, too. */
function includesOf({ include, exclude }: Pick<ChoiceFlags, 'include' | 'exclude'>): SetupWish['includes'] {
  if (include.length === 0 && exclude.length === 0) return undefined;
  return (name) =>
    !exclude.some((pattern) => pattern.matches(name)) &&
    (include.length === 0 || include.some((pattern) => pattern.matches(name)));
}

function onePublication(flags: SourceFlags): string {
  const [publication = '', second] = publicationsOf(flags);
  if (second !== undefined) throw usage('setup and drop are for one publication', 'call them once for each');
  return publication;
}

/** Writes statements in the order in which they come, and what is to be said at the end. */
function statementWriter(
  { json }: { readonly json?: true },
  { stdout, stderr }: CommandContext,
): {
  readonly statement: (statement: Statement) => void;
  readonly end: (notes: readonly string[], outcome: string) => Promise<void>;
} {
  let writing: Promise<void> = Promise.resolve();
  const write = (lines: readonly string[]): void => {
    writing = writing.then(() => stdout.writeLines(lines));
  };
  return {
    statement: ({ sql, why }) =>
      write(json ? [jsonLine({ type: 'statement', sql, why }, Date.now())] : [`-- ${printableText(why)}`, `${sql};`]),
    end: async (notes, outcome) => {
      await writing;
      if (json) await stdout.writeLines([jsonLine({ type: 'done', notes, outcome }, Date.now())]);
      else await stderr.writeLines([...notes.map(printableText), outcome]);
    },
  };
}
