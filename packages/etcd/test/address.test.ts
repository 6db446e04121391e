// Addresses of an etcd, as people write them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEtcdAddress, parseEtcdAddress } from '../src/address.ts';

// Proves: an address says where, how and which keys, and is told to people without its password.
test('addresses', () => {
  assert.deepEqual(parseEtcdAddress('etcd://localhost/orders'), {
    endpoints: ['localhost:2379'],
    isTls: false,
    prefix: '/orders/',
  });
  const address = parseEtcdAddress('etcds://user:p%40ss@a.example,[::1]:1234,10.0.0.1:7/baton/orders/');
  assert.deepEqual(address, {
    endpoints: ['a.example:2379', '[::1]:1234', '10.0.0.1:7'],
    isTls: true,
    user: 'user',
    password: 'p@ss',
    prefix: '/baton/orders/',
  });
  assert.equal(formatEtcdAddress(address), 'etcds://a.example:2379,[::1]:1234,10.0.0.1:7/baton/orders');
});

// Proves: what is no address is refused, and its password is not repeated.
test('what is no address', () => {
  for (const url of [
    'http://host/x',
    'etcd://host',
    'etcd://host/',
    'etcd://user:secret@/x',
    'etcd://user:secret@ho st/x',
    'etcd://user:secret@host:99999/x',
    'etcd://host/a//b',
    'etcd://host/a?b',
  ]) {
    assert.throws(
      () => parseEtcdAddress(url),
      (error: { code: string; message: string }) => {
        assert.equal(error.code, 'USAGE', url);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  }
});
