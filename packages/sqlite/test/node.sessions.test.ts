// A node's sessions as a server's clients have them.
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../src/index.ts';
import { describeSessions } from './support/session-suite.ts';

const { signal } = new AbortController();

describeSessions('a node', async ({ transactionMsMax, resultBytesMax }) => {
  await using started = new AsyncDisposableStack();
  const sandbox = started.use(makeSandbox());
  const node = started.use(await openNode({ directory: sandbox.join('node'), transactionMsMax }));
  const databases = node.clients();
  const all = started.move();
  return {
    node,
    databases,
    open: (options) => databases.open({ ...options, resultBytesMax }, signal),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
});
