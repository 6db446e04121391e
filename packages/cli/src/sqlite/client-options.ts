import type { Command } from 'commander';

/** Adds how a server is reached. */
export function addAccessOptions(command: Command): Command {
  return command
    .option('--token-file <file>', 'a file with the token to show (default: the variable BATON_TOKEN)')
    .option(
      '--ca <file>',
      'the authority that signed the certificate of the server, PEM (default: those of the system)',
    );
}
