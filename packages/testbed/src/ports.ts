// Ports for servers that tests start.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that the kernel gives to connections, which come and go while a server starts. */
const range = { first: 10_000, count: 20_000 };
const triesMax = 100;

/** A port of 127.0.0.1 that nobody listens on. It is not reserved: two that ask at once seldom get the same. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const port = range.first + Math.floor(Math.random() * range.count);
    const listener = createServer().listen(port, '127.0.0.1');
    const isFree = await once(listener, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    listener.close();
    await once(listener, 'close');
    return port;
  }
  throw new Error(`${triesMax} ports of 127.0.0.1 are taken`);
}
