import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { blockTraffic, cutLink, killAgents, stopAgents, stopHost } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { startHosts } from '@batondb/testbed/hosts';
import { readOnlyMount, smallFileSystem } from '@batondb/testbed/mounts';
import { describeProcess, waitUntil } from '@batondb/testbed/process-table';
import { replayBytes, startProxy } from '@batondb/testbed/proxy';
import { requireRoot } from '@batondb/testbed/requirements';

before(() => requireRoot('the test of the testbed'));

/** Starts a server on a host that answers each connection with all it has received, once the client has finished. */
async function startEcho(host: Host, port: number): Promise<void> {
  const program = `
    require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
      const got = [];
      socket.on('data', (chunk) => got.push(chunk));
      socket.on('end', () => socket.end(Buffer.concat(got)));
      socket.on('error', () => {});
    }).listen(${port}, '::')`;
  void host.exec([process.execPath, '-e', program], { timeoutMs: 60_000 }).catch(() => undefined);
  await waitUntil(
    'the server listens',
    async () => (await host.exec(['ss', '-ltnH', 'sport', '=', `:${port}`])).stdout !== '',
  );
}

/** Sends bytes from a host to the echo server and gives back what it says, or how the connection failed. */
async function askEcho(from: Host, address: string, port: number, content: Buffer): Promise<Buffer | string> {
  const program = `
    const socket = require('node:net').connect({ host: '${address}', port: ${port} });
    const got = [];
    const finish = (text) => { clearTimeout(timer); socket.destroy(); process.stdin.destroy(); process.stdout.write(text); };
    const timer = setTimeout(() => finish('SILENT'), 1000);
    process.stdin.pipe(socket);
    socket.on('data', (chunk) => got.push(chunk));
    socket.on('error', (error) => finish(error.code));
    socket.on('end', () => finish(Buffer.concat(got).toString('base64')));`;
  const { stdout } = await from.exec([process.execPath, '-e', program], { input: content });
  return /^(SILENT|E[A-Z]+)$/.test(stdout) ? stdout : Buffer.from(stdout, 'base64');
}

// Proves: cut links and blocked ports stop exactly the traffic they name, and restoring brings it back.
test('links are cut and restored', async () => {
  await using bed = await startHosts({ count: 3 });
  const [a, b, c] = [bed.host('a'), bed.host('b'), bed.host('c')];
  await startEcho(b, 4400);
  const content = Buffer.from('hello, there');
  const ask = (from: Host): Promise<Buffer | string> => askEcho(from, b.ipv4, 4400, content);
  assert.deepEqual(await ask(a), content);
  {
    await using _cut = await cutLink(b);
    assert.equal(await ask(a), 'SILENT');
  }
  await waitUntil('b is back', async () => Buffer.isBuffer(await ask(a)));
  {
    await using _blocked = await blockTraffic(b, { ports: '4400-4500', how: 'reject' });
    assert.equal(await ask(a), 'ECONNREFUSED');
    assert.equal((await bed.ssh('b', 'echo ssh works')).stdout, 'ssh works\n');
  }
  {
    await using _blocked = await blockTraffic(b, { peer: a });
    const [fromA, fromC] = await Promise.all([ask(a), ask(c)]);
    assert.equal(fromA, 'SILENT');
    assert.deepEqual(fromC, content);
    assert.equal(await askEcho(a, b.ipv6, 4400, content), 'SILENT');
  }
  assert.deepEqual(await ask(a), content);
});

// Proves: agents are found behind ssh and shells, and nothing else; they can be killed, stopped and let go on.
test('agents are found, stopped and killed', async () => {
  await using bed = await startHosts();
  const a = bed.host('a');
  await assert.rejects(killAgents(a), /no agent runs on a/);
  const session = bed.ssh('a', `sh -c '${process.execPath} -e "setTimeout(() => {}, 60000)" agent; :'`);
  const agent = await a.waitForAgent();
  assert.deepEqual(
    a.agents().map(({ pid }) => pid),
    [agent.pid],
  );
  const stopped = await stopAgents(a);
  assert.equal(describeProcess(agent.pid)?.state, 'T');
  await stopped.restore();
  await waitUntil('it goes on', () => describeProcess(agent.pid)?.state !== 'T');
  const hung = await stopHost(a);
  assert.ok([...a.processes(), ...a.sshSessions()].every(({ pid }) => describeProcess(pid)?.state === 'T'));
  await hung.restore();
  assert.deepEqual(
    (await killAgents(a)).map(({ pid }) => pid),
    [agent.pid],
  );
  await session;
  await a.waitForNoProcess();
});

// Proves: exactly one byte at the offset is flipped, in the direction and connection asked for, over IPv4 and IPv6.
test('a proxy flips one byte', async () => {
  await using bed = await startHosts();
  const [a, b] = [bed.host('a'), bed.host('b')];
  await startEcho(b, 4401);
  const before = b.processes().length;
  const content = Buffer.alloc(300_000, 'abcdefg');
  for (const [direction, address] of [
    ['toServer', b.ipv4],
    ['toClient', b.ipv6],
  ] as const) {
    await using proxy = await startProxy(b, { port: 4401, action: { kind: 'flip', direction, offset: 200_001 } });
    assert.equal(b.processes().length, before, 'the proxy is no process of the host');
    const answer = await askEcho(a, address, 4401, content);
    assert.ok(Buffer.isBuffer(answer), `the connection ended with ${answer.toString()}`);
    const changed = [...answer.keys()].filter((index) => answer[index] !== content[index]);
    assert.deepEqual([answer.length, changed], [content.length, [200_001]]);
    assert.deepEqual(proxy.reported('acted'), [{ type: 'acted', connection: 1, offset: 200_001 }]);
    assert.deepEqual(await askEcho(a, address, 4401, content), content, 'the second connection passes');
  }
  assert.deepEqual(await askEcho(a, b.ipv4, 4401, content), content);
});

// Proves: connections are cut or stalled at an offset; recorded bytes are the sent ones and can be sent again.
test('a proxy cuts, stalls and records', async () => {
  await using bed = await startHosts();
  const [a, b] = [bed.host('a'), bed.host('b')];
  await startEcho(b, 4402);
  const content = Buffer.from('0123456789'.repeat(1000));
  {
    await using proxy = await startProxy(b, {
      port: 4402,
      action: { kind: 'cut', direction: 'toServer', offset: 5000 },
    });
    assert.equal(await askEcho(a, b.ipv4, 4402, content), 'ECONNRESET');
    await proxy.waitUntilActed();
  }
  {
    await using _proxy = await startProxy(b, {
      port: 4402,
      action: { kind: 'stall', direction: 'toClient', offset: 10 },
    });
    assert.equal(await askEcho(a, b.ipv4, 4402, content), 'SILENT');
  }
  await using proxy = await startProxy(b, {
    port: 4402,
    action: { kind: 'record', direction: 'toServer', length: 4096 },
  });
  assert.deepEqual(await askEcho(a, b.ipv4, 4402, content), content);
  const recording = await proxy.recording();
  assert.deepEqual(recording, content.subarray(0, 4096));
  const replayed = await replayBytes(a, b.ipv4, 4402, recording, 300);
  assert.deepEqual(replayed, { ended: 'timeout', answer: Buffer.alloc(0) });
});

// Proves: small file systems of both kinds run full in bytes and in inodes, space comes back, and unmounting leaves nothing.
test('file systems run full', async () => {
  await using bed = await startHosts({ count: 1 });
  const a = bed.host('a');
  for (const kind of ['ext4', 'tmpfs'] as const) {
    await using small = await smallFileSystem(a, a.join(kind), { sizeBytes: 16 * 1024 * 1024, inodes: 64, kind });
    assert.deepEqual(readdirSync(small.path), []);
    await small.fill(1024 * 1024);
    assert.ok(
      small.free().bytes <= 1024 * 1024 + 65_536 && small.free().bytes > 900_000,
      `${small.free().bytes} bytes are free`,
    );
    const write = ['sh', '-c', 'head -c 2000000 /dev/zero > content'];
    assert.match((await a.exec(write, { cwd: small.path })).stderr, /No space left/);
    small.empty();
    assert.equal((await a.exec(write, { cwd: small.path })).code, 0);
    assert.throws(() => {
      for (let index = 0; index < 100; index++) writeFileSync(`${small.path}/file-${index}`, '');
    }, /ENOSPC/);
    // ssh sees the mount too, since hosts share the machine's mounts.
    assert.match((await bed.ssh('a', `stat -f -c %T ${small.path}`)).stdout, kind === 'ext4' ? /ext/ : /tmpfs/);
  }
  assert.deepEqual(readdirSync(a.join('ext4')), []);
  writeFileSync(a.join('tmpfs/kept'), 'x');
  {
    await using _readOnly = await readOnlyMount(a, a.join('tmpfs'));
    assert.throws(() => writeFileSync(a.join('tmpfs/new'), ''), /EROFS/);
    assert.ok(existsSync(a.join('tmpfs/kept')));
  }
  writeFileSync(a.join('tmpfs/new'), '');
});
