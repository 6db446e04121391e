import { isIPv6 } from 'node:net';
import { BatonError } from '@batondb/core/errors';

/** Where a transfer goes, as `--address` says it: `HOST[:PORT][/PATH]`. */
export type Address = {
  /** A name or an address, an IPv6 one without brackets. */
  readonly host: string;
  /** Undefined when it is left to the method: see {@link portOf}. */
  readonly port: number | undefined;
  /** What stands behind the first slash: only the donor's address has it, and the joiner has put it there. */
  readonly path: string | undefined;
};

/** What every method of Galera takes when no port is named, so what firewalls of clusters let through. */
export const defaultPort = 4444;

/** The port of an address, or the one that is meant when it names none. */
export function portOf(address: Address): number {
  return address.port ?? defaultPort;
}

const form = /^(?:\[(?<bracketed>[^\]/]+)\]|(?<plain>[^:/[\]]+))(?::(?<port>\d{1,5}))?(?:\/(?<path>.*))?$/;

/** Reads an address in any form that the servers write. An IPv6 address without brackets has no port. Throws USAGE. */
export function parseAddress(text: string): Address {
  const bare = text.trim();
  if (isIPv6(bare)) return { host: bare, port: undefined, path: undefined };
  const { bracketed, plain, port, path } = form.exec(bare)?.groups ?? {};
  const host = bracketed ?? plain;
  const number = port === undefined ? undefined : Number(port);
  const isWrong = host === undefined || (bracketed !== undefined && !isIPv6(bracketed));
  if (isWrong || (number !== undefined && (number < 1 || number > 65_535))) {
    throw new BatonError('USAGE', `'${text}' is not an address of the form HOST[:PORT][/PATH]`, {
      hint: 'look at wsrep_sst_receive_address and wsrep_node_address; an IPv6 address with a port stands in brackets',
    });
  }
  return { host: host ?? '', port: number, path };
}

/** `HOST:PORT`, an IPv6 address in brackets. */
export function formatEndpoint(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
