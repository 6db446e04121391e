// Who is served, and who is not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { createToken, listTokens, revokeToken } from '@batondb/service/tokens/manage';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { RawSocket, refusalOf } from './support/raw-socket.ts';
import { execute, type Json, post, resultsOf, serve } from './support/served.ts';

const close = { type: 'close' };
const select = { requests: [execute('SELECT 1'), close] };
const write = { requests: [execute('CREATE TABLE IF NOT EXISTS t (a)'), execute('INSERT INTO t VALUES (1)'), close] };
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

// Proves: the check stands before the first byte is served.
test('a server that would be open does not start', async () => {
  await assert.rejects(serve({ listen: '0.0.0.0:0' }), { code: 'USAGE', message: /there is no token/ });
});

/** A request with headers that fetch does not let one choose. */
async function ask(
  address: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<readonly [number, unknown]> {
  const [host = '', port = ''] = address.split(':');
  const request = httpRequest({ host, port, path, method: body === undefined ? 'GET' : 'POST', headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return [response.statusCode, text.startsWith('{') ? (JSON.parse(text) as Json)['code'] : text];
}

// Proves: no web page can write or read: not of another origin, not by a form, not by a name that was bent to this machine (S2).
test('web pages', async () => {
  await using served = await serve({ settings: { origins: ['https://app.example'], hosts: ['db.internal'] } });
  const { address } = served.server;
  const json = { 'content-type': 'application/json' };
  const body = JSON.stringify(write);
  const pipeline = async (headers: Record<string, string>): Promise<readonly [number, unknown]> =>
    ask(address, '/v2/pipeline', { ...json, ...headers }, body);
  for (const origin of [
    'https://evil.example',
    'null',
    'http://localhost',
    `http://${address}.evil.example`,
    'http://127.0.0.1:1',
  ])
    assert.deepEqual(await pipeline({ origin }), [403, 'ORIGIN_REFUSED'], origin);
  for (const host of [
    'evil.example',
    `evil.example:${address.split(':')[1]}`,
    '127.0.0.1.evil.example',
    'localhost.evil.example',
  ])
    assert.deepEqual(await pipeline({ host }), [421, 'HOST_REFUSED'], host);
  for (const path of ['/status', '/metrics', '/txn/key', '/v2'])
    assert.deepEqual(await ask(address, path, { host: 'evil.example' }), [421, 'HOST_REFUSED'], path);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])
    assert.deepEqual(await pipeline({ 'content-type': type }), [415, 'WRONG_TYPE'], type);
  assert.deepEqual(await pipeline({ 'content-encoding': 'gzip' }), [415, 'WRONG_TYPE']);
  const own = [
    {},
    { origin: `http://${address}` },
    { origin: 'https://app.example' },
    { host: 'LOCALHOST:1' },
    { host: '[::1]:6480' },
    { host: 'db.internal' },
  ];
  for (const headers of own) assert.equal((await pipeline(headers))[0], 200, JSON.stringify(headers));
  assert.equal((await pipeline({ 'content-type': 'Application/JSON; charset=utf-8' }))[0], 200);
  const socketUrl = served.url('', 'ws');
  assert.deepEqual(await refusalOf(socketUrl, ['hrana2'], { origin: 'https://evil.example' }), [403, 'ORIGIN_REFUSED']);
  assert.deepEqual(await refusalOf(socketUrl, ['hrana2'], { headers: { host: 'evil.example' } }), [
    421,
    'HOST_REFUSED',
  ]);
});

// Proves: a token has the rights it was made with and no other, and revoking it works at once, also on what is open (S3, S4).
test('tokens', async () => {
  const sandbox = makeSandbox();
  const tokenPath = sandbox.join('tokens.json');
  const writer = createToken(tokenPath, 'writer', ['write']);
  const reader = createToken(tokenPath, 'reader', ['read']);
  const joiner = createToken(tokenPath, 'joiner', ['join']);
  await using served = await serve({ tokenPath }, sandbox);
  const pipeline = served.url('/v2/pipeline');
  const codeOf = async (token: string | undefined, body: Json): Promise<unknown> => {
    const reply = await post(pipeline, body, token === undefined ? {} : bearer(token));
    return reply.body['code'] ?? resultsOf(reply).at(-2)?.['code'] ?? reply.status;
  };
  assert.equal(await codeOf(writer, write), 200);
  assert.equal(await codeOf(reader, select), 200);
  assert.equal(await codeOf(reader, write), 'SQLITE_READONLY');
  assert.equal(await codeOf(joiner, select), 'FORBIDDEN');
  const changed = `${writer.slice(0, -1)}${writer.endsWith('A') ? 'B' : 'A'}`;
  for (const wrong of [
    undefined,
    'x',
    changed,
    writer.toUpperCase(),
    `${writer}A`,
    `baton_000000000000_${'A'.repeat(43)}`,
  ])
    assert.equal(await codeOf(wrong, select), 'UNAUTHORIZED', wrong);
  for (const path of ['/status', '/metrics', '/txn/x']) assert.equal((await fetch(served.url(path))).status, 401, path);
  for (const path of ['/health', '/ready', '/v2']) assert.equal((await fetch(served.url(path))).status, 200, path);
  assert.equal((await fetch(served.url('/status'), { headers: bearer(reader) })).status, 200);

  const kept = await post(pipeline, { requests: [execute('SELECT 1')] }, bearer(writer));
  assert.equal(
    (await post(pipeline, { baton: kept.body['baton'], ...select }, bearer(reader))).body['code'],
    'STREAM_EXPIRED',
  );
  using client = await RawSocket.open(served.url('', 'ws'));
  client.say({ type: 'hello', jwt: writer });
  await client.ask({ type: 'open_stream', stream_id: 1 });
  revokeToken(tokenPath, 'writer');
  assert.equal(
    (await client.ask({ type: 'execute', stream_id: 1, stmt: { sql: 'SELECT 1' } }))['code'],
    'UNAUTHORIZED',
  );
  assert.equal((await client.whenClosed()).code, 1008);
  assert.equal(await codeOf(writer, select), 'UNAUTHORIZED');
  for (const { name } of listTokens(tokenPath)) revokeToken(tokenPath, name);
  assert.equal(await codeOf(undefined, select), 'UNAUTHORIZED', 'without the last token nobody gets in');
});

// Proves: over WebSocket the token of hello counts, a wrong one ends the connection, and a reader cannot write.
test('tokens over WebSocket', async () => {
  const sandbox = makeSandbox();
  const tokenPath = sandbox.join('tokens.json');
  const reader = createToken(tokenPath, 'reader', ['read']);
  const joiner = createToken(tokenPath, 'joiner', ['join']);
  await using served = await serve({ tokenPath }, sandbox);
  for (const jwt of [null, 'x', `${reader}x`]) {
    using client = await RawSocket.open(served.url('', 'ws'));
    client.say({ type: 'hello', jwt });
    client.request({ type: 'open_stream', stream_id: 1 });
    assert.equal((await client.whenClosed()).code, 1008);
    assert.deepEqual(
      client.messages.map(({ type, error }) => [type, (error as Json)['code']]),
      [['hello_error', 'UNAUTHORIZED']],
    );
  }
  using other = await RawSocket.open(served.url('', 'ws'));
  other.say({ type: 'hello', jwt: joiner });
  assert.equal((await other.ask({ type: 'open_stream', stream_id: 1 }))['code'], 'FORBIDDEN');
  using client = await RawSocket.open(served.url('', 'ws'), ['hrana3'], { headers: bearer(reader) });
  client.say({ type: 'hello', jwt: null });
  await client.ask({ type: 'open_stream', stream_id: 1 });
  assert.equal(
    (await client.ask({ type: 'execute', stream_id: 1, stmt: { sql: 'CREATE TABLE t (a)' } }))['code'],
    'SQLITE_READONLY',
  );
});

// Proves: a server does not start on a file of tokens that says nothing (S3).
test('a damaged file of tokens', async () => {
  await using sandbox = makeSandbox();
  const path = sandbox.join('tokens.json');
  writeFileSync(path, '[]', { mode: 0o600 });
  await assert.rejects(serve({ tokenPath: path }), { code: 'USAGE' });
});

// Proves: a socket in the file system is its owner's, one that a killed server left is replaced, and a live one never.
test('a Unix socket', async () => {
  const sandbox = makeSandbox();
  const path = sandbox.join('s');
  await using served = await serve({ listen: `unix:${path}` }, sandbox);
  assert.equal(served.server.address, `unix:${path}`);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const request = httpRequest({ socketPath: path, path: '/v2', headers: { host: 'anything' } }).end();
  const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  assert.equal(response.statusCode, 200);
  await assert.rejects(serve({ listen: `unix:${path}` }), { code: 'PORT_TAKEN' });
});

// Proves: TLS serves with the certificate that is there, takes a new one without a restart, and keeps the old one when the new one is bad (S5).
test('certificates', async () => {
  const sandbox = makeSandbox();
  const tls = { certificatePath: sandbox.join('cert.pem'), keyPath: sandbox.join('key.pem') };
  const put = (): string => {
    const { certificatePem, privateKeyPem, fingerprint } = makeIdentity();
    writeFileSync(tls.certificatePath, certificatePem);
    writeFileSync(tls.keyPath, privateKeyPem);
    return fingerprint;
  };
  const first = put();
  await using served = await serve({ tls }, sandbox);
  const seen = async (): Promise<string> => {
    const socket = connectTls({ port: Number(served.server.address.split(':')[1]), rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 200 /);
    return fingerprint256.replaceAll(':', '').toLowerCase();
  };
  assert.equal(await seen(), first);
  const second = put();
  served.server.reloadCertificate();
  assert.equal(await seen(), second);
  writeFileSync(tls.keyPath, makeIdentity().privateKeyPem);
  assert.throws(() => served.server.reloadCertificate(), { code: 'USAGE', message: /no certificate and its key/ });
  assert.equal(await seen(), second);
});

// Proves: who sends slowly, too much, or nothing at all is cut off, and the others are served meanwhile.
test('slow and huge requests', async () => {
  await using served = await serve({ settings: { arrivalMsMax: 300 } });
  const until = async (text: string, { server } = served): Promise<string> => {
    const [host = '', port = ''] = server.address.split(':');
    const socket = connect(Number(port), host);
    socket.write(text);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    // The server may close before it has read all that we sent, which is an error here. What it said counts.
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    return answer;
  };
  const head = 'POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const answers = await Promise.all([
    until('GET /health HTTP/1.1\r\nHost: loc'),
    until(`${head}Content-Length: 100\r\n\r\n{"requests"`),
    until(`${head}Content-Length: 1000000000\r\n\r\n`),
    until(`GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
  ]);
  assert.deepEqual(
    answers.map((answer) => /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]),
    ['408', '408', '413', '431'],
  );
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n100000\r\n${' '.repeat(0x100000)}\r\n`;
  // So much may take longer to arrive than the others are given.
  await using patient = await serve();
  const huge = chunked + `100000\r\n${' '.repeat(0x100000)}\r\n`.repeat(32);
  assert.match(await until(huge, patient), /^HTTP\/1\.1 413/);
  assert.equal((await post(served.url('/v2/pipeline'), select)).status, 200);
  assert.equal((await post(served.url('/v2/pipeline'), '{')).body['code'], 'PROTOCOL');
});
