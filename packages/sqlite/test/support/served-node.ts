// A node with a server in front of it.
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../../src/node/open-node.ts';
import { type ServerOptions, startServer } from '../../src/server/server.ts';
import type { ServedDatabase } from './client-suite.ts';

/** Starts both on a free port of the loopback. */
export async function serveNode(
  sandbox: Sandbox = makeSandbox(),
  options: Partial<Omit<ServerOptions, 'onFault'>> = {},
): Promise<ServedDatabase> {
  await using started = new AsyncDisposableStack();
  started.use(sandbox);
  const node = started.use(await openNode({ directory: sandbox.join('node') }));
  const faults: unknown[] = [];
  started.defer(() => {
    if (faults.length > 0) throw new AggregateError(faults, 'the server was at fault');
  });
  const server = await startServer(node.clients(), {
    listen: '127.0.0.1:0',
    ...options,
    onFault: (fault) => faults.push(fault),
  });
  started.defer(() => server.stop());
  const all = started.move();
  return {
    url: (path, scheme) => `${scheme}://${server.address}${path}`,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
