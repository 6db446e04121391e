import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { BatonError } from '../errors.ts';

/** Ports to try, in order; `first` and `last` belong to it. Both 0: any port the system has free. */
export type PortRange = { readonly first: number; readonly last: number; readonly excluded: readonly number[] };

/** Every IPv6 address, and every IPv4 address with it unless the system is set up otherwise. */
const allAddresses = '::';
const allAddressesIpv4 = '0.0.0.0';

/** Binds `server` to the first free port of `ports` and returns it. Throws PORT_TAKEN, NO_PERMISSION or SYSTEM. */
export async function bindFirstFree(server: Server, host: string | undefined, ports: PortRange): Promise<number> {
  for (let port = ports.first; port <= ports.last; port++) {
    if (ports.excluded.includes(port)) continue;
    if (await tryBind(server, host, port)) return (server.address() as AddressInfo).port;
  }
  const range = ports.first === ports.last ? `port ${ports.first} is` : `ports ${ports.first} to ${ports.last} are`;
  throw new BatonError('PORT_TAKEN', `${range} taken on ${host ?? 'this host'}`, {
    retryable: true,
    hint: 'name a free one with --port, or wait for the program that has it',
  });
}

/** False when the port is taken. */
async function tryBind(server: Server, host: string | undefined, port: number): Promise<boolean> {
  const error = await bind(server, host ?? allAddresses, port);
  // A host without IPv6 (its module off, or disabled by sysctl) has no such address.
  const isWithoutIpv6 = host === undefined && (error?.code === 'EAFNOSUPPORT' || error?.code === 'EADDRNOTAVAIL');
  const last = isWithoutIpv6 ? await bind(server, allAddressesIpv4, port) : error;
  if (last === undefined) return true;
  if (last.code === 'EADDRINUSE') return false;
  throw new BatonError(
    last.code === 'EACCES' ? 'NO_PERMISSION' : 'SYSTEM',
    `cannot listen on ${host ?? 'all addresses'} port ${port}: ${last.message}`,
    {
      hint: 'check the address given with --bind and the port given with --port',
      cause: last,
    },
  );
}

async function bind(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}
