// Who may be served.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocal, parseAddress } from '../src/address.ts';
import { checkExposure } from '../src/exposure.ts';

// Proves: what others can reach is refused unless it is protected or said to be meant (S1).
test('exposure', () => {
  const closed = { hasTls: false, hasTokens: false, noAuth: false, behindProxy: false, tokenCommand: 'x' };
  for (const text of ['127.0.0.1:6480', '127.9.9.9:1', '[::1]:0', 'localhost:6480', 'unix:/run/x'])
    checkExposure({ ...closed, address: parseAddress(text) });
  for (const text of ['0.0.0.0:6480', '[::]:6480', '192.0.2.1:6480', 'db1:6480', '[::ffff:127.0.0.1]:6480']) {
    const address = parseAddress(text);
    for (const hasTls of [false, true])
      for (const behindProxy of [false, true])
        for (const hasTokens of [false, true])
          for (const noAuth of [false, true]) {
            const check = (): void =>
              checkExposure({ address, hasTls, hasTokens, noAuth, behindProxy, tokenCommand: 'x' });
            if ((hasTokens || noAuth) && (hasTls || behindProxy)) check();
            else assert.throws(check, { code: 'USAGE' });
          }
  }
  for (const text of ['', '6480', ':6480', 'x:', 'x:65536', '::1:6480', '[x]:1', 'unix:', `unix:/${'x'.repeat(107)}`])
    assert.throws(() => parseAddress(text), { code: 'USAGE' }, text);
  assert.ok(!isLocal(parseAddress('127.0.0.1.example:1')));
});
