import { installKey } from '@batondb/galera/node/install-key';
import { keyFingerprint, readKey } from '@batondb/galera/node/key';
import { localLayout } from '@batondb/galera/node/layout';
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import type { CommandContext } from '../service/context.ts';
import type { Accept } from '../service/subcommands.ts';
import { keyExamples } from './help.ts';

type KeyFlags = { readonly create?: true; readonly file: string; readonly json?: true };

export function addKeyCommand(program: Command, accept: Accept): void {
  program
    .command('key')
    .description('shows by its fingerprint which key this node has')
    .option('--create', 'make one unless there is one')
    .option('--file <file>', 'where it is', localLayout.key)
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${keyExamples}`)
    .action((flags: KeyFlags) => accept((context) => runKey(flags, context)));
}

async function runKey({ create, file, json }: KeyFlags, { stdout }: CommandContext): Promise<number> {
  const { path, fingerprint, isNew } = create
    ? await installKey(file)
    : { path: file, fingerprint: keyFingerprint(readKey(file)), isNew: false };
  const line = `${path}: fingerprint ${fingerprint}${isNew ? ', made now' : ''}`;
  await stdout.writeLines(json ? [jsonLine({ type: 'key', path, fingerprint, isNew }, Date.now())] : [line]);
  return exitCodes.ok;
}
