// The file that tokens are kept in.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { createToken, listTokens, revokeToken } from '../src/tokens/manage.ts';

// Proves: secrets are not in the file, the file is its owner's, and one that others can use is refused (S3).
test('the file of tokens', async () => {
  await using sandbox = makeSandbox();
  const path = sandbox.join('tokens.json');
  assert.deepEqual(listTokens(path), []);
  const token = createToken(path, 'a', ['read', 'join']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(!readFileSync(path, 'utf8').includes(token.slice(-43)));
  const [summary] = listTokens(path);
  assert.deepEqual([summary?.name, summary?.rights, summary && 'hash' in summary], ['a', ['read', 'join'], false]);
  assert.throws(() => createToken(path, 'a', ['read']), { code: 'USAGE', message: 'there is a token a already' });
  assert.throws(() => createToken(path, 'b', []), { code: 'USAGE' });
  assert.throws(() => revokeToken(path, 'b'), { code: 'NOT_FOUND' });
  writeFileSync(`${path}.new`, '');
  assert.throws(() => createToken(path, 'b', ['read']), { code: 'BUSY', retryable: true });
  chmodSync(path, 0o640);
  assert.throws(() => listTokens(path), { code: 'USAGE', message: /has mode 640/ });
  chmodSync(path, 0o600);
  for (const content of ['', '[]', '{"version":2,"tokens":[]}']) {
    writeFileSync(path, content);
    assert.throws(() => listTokens(path), { code: 'USAGE', message: `${path} is no file of tokens` }, content);
  }
});

// Proves: what root makes in the directory of a service's user is that user's, who else could not read it; a file of a third one is not trusted (S3).
test('the file of tokens of another user', async () => {
  await using sandbox = makeSandbox();
  const [service, stranger] = [1234, 1235];
  mkdirSync(sandbox.join('service'));
  const path = sandbox.join('service', 'tokens');
  chownSync(sandbox.join('service'), service, service);
  createToken(path, 'a', ['read']);
  const { uid, gid, mode } = statSync(path);
  assert.deepEqual([uid, gid, mode & 0o777], [service, service, 0o600]);
  createToken(path, 'b', ['read']);
  assert.equal(listTokens(path).length, 2);
  chownSync(path, stranger, stranger);
  assert.throws(() => listTokens(path), { code: 'USAGE', message: /belongs to user 1235/ });
});
