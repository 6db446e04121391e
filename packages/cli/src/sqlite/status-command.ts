import type { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { printableText } from '../render/style.ts';
import { type AccessFlags, addAccessOptions, readAccess } from '../service/access.ts';
import type { Accept } from '../service/subcommands.ts';
import { defaultServer } from './places.ts';

// `baton sqlite status`: what a server says at /status.

type StatusFlags = AccessFlags & { readonly json?: true };

export function addStatusCommand(program: Command, accept: Accept): void {
  addAccessOptions(program.command('status'))
    .description('shows what a server says of itself: databases, position, log')
    .usage('[options] [URL]')
    .argument('[url]', 'of the server', defaultServer)
    .option('--json', 'as one JSON object')
    .action((url: string, flags: StatusFlags) =>
      accept(async ({ stdout, environment, watchInterruption }) => {
        const { fetchStatus } = await import('@batondb/sqlite/client/http');
        const { parseLocation } = await import('@batondb/sqlite/client/location');
        const access = readAccess(flags, environment);
        const status = await fetchStatus(parseLocation(url), access, watchInterruption().signal);
        await stdout.writeLines(
          flags.json ? [jsonLine({ type: 'status', ...status }, Date.now())] : outline(status, ''),
        );
        return exitCodes.ok;
      }),
    );
}

/** Any object as indented lines: what a server of another release says is shown, too. */
export function outline(value: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const members = Array.isArray(inner) ? Object.entries(inner as readonly unknown[]) : undefined;
    if (members !== undefined) {
      const lines = members.flatMap(([, member]) => asItem(member, `${indent}  `));
      return [`${indent}${printableText(key)}:${lines.length === 0 ? ' none' : ''}`, ...lines];
    }
    if (isRecord(inner)) return [`${indent}${printableText(key)}:`, ...outline(inner, `${indent}  `)];
    return [`${indent}${printableText(key)}: ${textOf(key, inner)}`];
  });
}

function asItem(member: unknown, indent: string): string[] {
  if (!isRecord(member)) return [`${indent}- ${textOf('', member)}`];
  const [first = '', ...rest] = outline(member, `${indent}  `);
  return [`${indent}- ${first.trimStart()}`, ...rest];
}

function textOf(key: string, value: unknown): string {
  // A moment, and not a duration: the names of both end with their unit.
  if (key.endsWith('Ms') && typeof value === 'number' && value > 1e12) return new Date(value).toISOString();
  return printableText(typeof value === 'string' ? value : JSON.stringify(value));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
