import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { BatonError } from '@batondb/core/errors';
import type { Identity } from '@batondb/core/transport/certificate';
import { type Listener, listenTls, type PortRange } from '@batondb/core/transport/tls';

/** Where a target waits for its sender. */
export type DataPort = {
  readonly listener: Listener;
  /** Addresses of this host that others may reach it at. */
  readonly addresses: readonly string[];
};

/** Ports a copy takes by itself. 4444 is where Galera's state transfers listen. */
const defaultPorts: PortRange = { first: 4400, last: 4500, excluded: [4444] };

/** Opens the data port; `port` 0 is the first free one of the default range. */
export async function openDataPort(options: {
  readonly port: number;
  readonly bind: string | undefined;
  readonly identity: Identity;
  readonly allowed: () => ReadonlySet<string>;
}): Promise<DataPort> {
  const { port, bind, identity, allowed } = options;
  const ports = port === 0 ? defaultPorts : { first: port, last: port, excluded: [] };
  const own = ownAddresses();
  const host = bind === undefined ? undefined : chooseAddress(bind, own);
  const listener = await listenTls({ ports, identity, allowed, ...(host === undefined ? {} : { host }) });
  return { listener, addresses: host === undefined ? own : [host] };
}

/** The address of ours that `bind` means: itself, or the first that lies in the network it names. */
function chooseAddress(bind: string, own: readonly string[]): string {
  const [network = '', prefix] = bind.split('/');
  if (prefix === undefined) return network;
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  const block = new BlockList();
  try {
    block.addSubnet(network, Number(prefix), family);
  } catch (cause) {
    throw new BatonError('USAGE', `--bind ${bind} is no network`, {
      hint: 'write it as 10.0.0.0/8 or fd00::/8',
      cause,
    });
  }
  const found = own.find((address) => block.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'));
  if (found !== undefined) return found;
  throw new BatonError('HOP_UNREACHABLE', `no address of this host lies in ${bind}; it has ${own.join(', ')}`, {
    hint: 'name a network that all targets have an address in, with --bind',
  });
}

/** Addresses of this host; without loopback, and without link-local ones, which mean nothing elsewhere. */
export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ internal, address }) => !internal && !/^fe80:/i.test(address)).map(({ address }) => address);
}
