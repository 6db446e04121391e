// Sessions over a WebSocket, to a server with a node behind it: the same contract as without.
import assert from 'node:assert/strict';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { connect } from '../src/client/connect.ts';
import { parseLocation, withDatabase } from '../src/client/location.ts';
import { createToken, openNode, startServer } from '../src/index.ts';
import { describeSessions } from './support/session-suite.ts';

const { signal } = new AbortController();

describeSessions('a server', async ({ transactionMsMax, resultBytesMax }) => {
  await using started = new AsyncDisposableStack();
  const sandbox = started.use(makeSandbox());
  const node = started.use(await openNode({ directory: sandbox.join('node'), transactionMsMax }));
  const tokenPath = sandbox.join('tokens');
  const tokens = { write: createToken(tokenPath, 'w', ['write']), read: createToken(tokenPath, 'r', ['read']) };
  const faults: unknown[] = [];
  started.defer(() => assert.deepEqual(faults, [], 'the server was at fault'));
  const server = await startServer(node.clients(), {
    listen: '127.0.0.1:0',
    tokenPath,
    settings: { resultBytesMax },
    onFault: (fault) => faults.push(fault),
  });
  started.defer(() => server.stop());
  const location = parseLocation(server.address);
  const all = started.move();
  return {
    node,
    databases: node.clients(),
    open: async ({ database, isReadOnly }) => {
      const token = isReadOnly ? tokens.read : tokens.write;
      const remote = all.use(await connect(withDatabase(location, database), { token }, signal));
      return await remote.session(signal);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
});
