// The wires of a bed: a bridge in a namespace of its own, to which each host's namespace and the root one are connected.
// The bridge is not in the root namespace because rules of the machine's own firewall would apply to it there.
import { mustRun } from './processes.ts';

/** Names and addresses of one bed, all derived from its id (a prefix and four hexadecimal digits). */
export type NetworkPlan = {
  /** Namespace of the bridge. */
  readonly switchNamespace: string;
  /** Link in the root namespace, at most 15 characters (IFNAMSIZ). */
  readonly rootLink: string;
  readonly root: Addresses;
  readonly hosts: readonly HostPlan[];
  /** Speed of each host's link in both directions; undefined: unshaped. */
  readonly linkMbit: number | undefined;
};

export type Addresses = { readonly ipv4: string; readonly ipv6: string };
export type HostPlan = Addresses & {
  readonly name: string;
  readonly namespace: string;
  /** The bridge's end of its link, in the bridge's namespace. */
  readonly port: string;
};

/** Hosts' name of their link. */
export const hostLink = 'eth0';

/** Plans the network of a bed. The four digits of the id choose its networks: 10.X.Y.0/24 and fd42:ba70:XXYY::/64. */
export function planNetwork(id: string, names: readonly string[], linkMbit: number | undefined): NetworkPlan {
  const digits = id.slice(-4);
  const ipv4 = `10.${Number.parseInt(digits.slice(0, 2), 16)}.${Number.parseInt(digits.slice(2), 16)}`;
  // As the kernel writes it: without leading zeros.
  const ipv6 = `fd42:ba70:${Number.parseInt(digits, 16).toString(16)}:`;
  return {
    switchNamespace: `${id}-switch`,
    rootLink: id,
    root: { ipv4: `${ipv4}.1`, ipv6: `${ipv6}:1` },
    hosts: names.map((name, index) => ({
      name,
      namespace: `${id}-${name}`,
      port: `port${index}`,
      ipv4: `${ipv4}.${index + 11}`,
      ipv6: `${ipv6}:${(index + 11).toString(16)}`,
    })),
    linkMbit,
  };
}

async function batch(program: 'ip' | 'tc', namespace: string | undefined, lines: readonly string[]): Promise<void> {
  const where = namespace === undefined ? [] : ['-n', namespace];
  await mustRun([program, ...where, '-batch', '-'], { input: `${lines.join('\n')}\n`, timeoutMs: 10_000 });
}

function shapeLine(link: string, linkMbit: number): string {
  // The burst must hold the largest packet that offloading builds (64 KiB) and what a timer tick lets through.
  const burstBytes = Math.max(128 * 1024, Math.ceil((linkMbit * 1e6) / 8 / 250));
  return `qdisc replace dev ${link} root tbf rate ${linkMbit}mbit burst ${burstBytes} latency 50ms`;
}

/** Sets the speed of one host's link in both directions; undefined takes the limit away. */
export async function shapeLink(plan: NetworkPlan, host: HostPlan, linkMbit: number | undefined): Promise<void> {
  const line = (link: string): string =>
    linkMbit === undefined ? `qdisc delete dev ${link} root` : shapeLine(link, linkMbit);
  await Promise.all([
    batch('tc', host.namespace, [line(hostLink)]),
    batch('tc', plan.switchNamespace, [line(host.port)]),
  ]);
}

/** Makes namespaces, bridge and links. What it makes must be in the bed's record before. */
export async function buildNetwork(plan: NetworkPlan): Promise<void> {
  const { switchNamespace, rootLink, root, hosts, linkMbit } = plan;
  await batch('ip', undefined, [
    `netns add ${switchNamespace}`,
    ...hosts.map(({ namespace }) => `netns add ${namespace}`),
    `link add ${rootLink} type veth peer name root netns ${switchNamespace}`,
    `addr add ${root.ipv4}/24 dev ${rootLink}`,
    `addr add ${root.ipv6}/64 dev ${rootLink} nodad`,
    `link set ${rootLink} up`,
  ]);
  await batch('ip', switchNamespace, [
    'link add bridge type bridge forward_delay 0 mcast_snooping 0',
    'link set bridge up',
    'link set root master bridge up',
    ...hosts.flatMap(({ port, namespace }) => [
      `link add ${port} type veth peer name ${hostLink} netns ${namespace}`,
      `link set ${port} master bridge up`,
    ]),
  ]);
  const shaping = hosts.flatMap(({ port }) => (linkMbit === undefined ? [] : [shapeLine(port, linkMbit)]));
  await Promise.all([
    ...(shaping.length === 0 ? [] : [batch('tc', switchNamespace, shaping)]),
    ...hosts.map(async (host) => {
      await batch('ip', host.namespace, [
        'link set lo up',
        `addr add ${host.ipv4}/24 dev ${hostLink}`,
        `addr add ${host.ipv6}/64 dev ${hostLink} nodad`,
        `link set ${hostLink} up`,
      ]);
      if (linkMbit !== undefined) await batch('tc', host.namespace, [shapeLine(hostLink, linkMbit)]);
    }),
  ]);
}
