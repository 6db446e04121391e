import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';

// Where and for whom a service listens, on the command line.

export type ListenFlags = {
  readonly listen?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tokenFile?: string;
  readonly auth: boolean;
  readonly behindProxy?: true;
  readonly allowHost: readonly string[];
};

/** Adds them. `listen` and `tokens` are what a door says of the first and of --token-file; `everything` is what nobody needs a token for then. */
export function addListenOptions(
  command: Command,
  { listen, tokens, everything }: { readonly listen: string; readonly tokens: string; readonly everything: string },
): Command {
  return command
    .option('--listen <address>', listen)
    .option('--tls-cert <file>', 'a certificate with its chain, PEM; other machines are not served without')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--token-file <file>', tokens)
    .option('--no-auth', `serve other machines without tokens: everybody may ${everything}`)
    .option('--behind-proxy', 'serve other machines without TLS: something in front of this server speaks it')
    .addOption(
      new Option('--allow-host <name>', 'a name that this machine has for clients without a token; repeatable')
        .argParser(values.collect)
        .default([], 'localhost'),
    );
}

/** Throws a usage error for a certificate without its key. */
export function checkListenFlags({ tlsCert, tlsKey }: ListenFlags): void {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw values.usage('--tls-cert and --tls-key belong together', 'give both');
}

/** What they come to, but for the address and the file of tokens, whose defaults are a door's own. */
export function protectionOf({ tlsCert, tlsKey, auth, behindProxy }: ListenFlags): {
  readonly tls?: { readonly certificatePath: string; readonly keyPath: string };
  readonly noAuth: boolean;
  readonly behindProxy: boolean;
} {
  return {
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tls: { certificatePath: tlsCert, keyPath: tlsKey } }),
    noAuth: !auth,
    behindProxy: behindProxy ?? false,
  };
}
