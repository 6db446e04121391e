// Proves: what a person writes as a source or target means one thing, or is refused with the way to write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textToBytes } from '@batondb/core/text/bytes';
import { formatEndpoint, formatHost, nameOfCopy, parseEndpoint, sshDestination } from '../src/endpoint.ts';

type Case = [text: string, user: string | undefined, host: string | undefined, path: string];

const cases: Case[] = [
  ['db1:/srv/data', undefined, 'db1', '/srv/data'],
  ['db1:data', undefined, 'db1', 'data'],
  ['db1:.', undefined, 'db1', '.'],
  ['root@db1:/srv/data/', 'root', 'db1', '/srv/data'],
  ['me@example.org@db1:/x', 'me@example.org', 'db1', '/x'],
  ['db1:/srv/a:b/[c]@d', undefined, 'db1', '/srv/a:b/[c]@d'],
  ['db1:mail@b::1:x', undefined, 'db1', 'mail@b::1:x'],
  ['[2001:db8::1]:/srv', undefined, '2001:db8::1', '/srv'],
  ['root@[fe80::1%eth0]:/srv', 'root', 'fe80::1%eth0', '/srv'],
  ['db1:///', undefined, 'db1', '/'],
  ['/srv/data', undefined, undefined, '/srv/data'],
  ['/srv/a:b', undefined, undefined, '/srv/a:b'],
  ['./odd:name', undefined, undefined, './odd:name'],
  ['data//', undefined, undefined, 'data'],
  ['[x]', undefined, undefined, '[x]'],
  ['/', undefined, undefined, '/'],
  ['~/x', undefined, undefined, '~/x'],
];

for (const [text, user, host, path] of cases) {
  test(`${text} is ${host ?? 'local'}, ${path}`, () => {
    assert.deepEqual(parseEndpoint(text), { user, host, path: textToBytes(path) });
  });
}

test('an endpoint is written as it is read', () => {
  for (const [text] of cases) {
    const endpoint = parseEndpoint(text);
    assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint, text);
  }
  const odd = { host: undefined, user: undefined, path: textToBytes('odd:name') };
  assert.equal(formatEndpoint(odd), './odd:name');
  assert.deepEqual(Uint8Array.from(parseEndpoint('a:x\udcfe').path), Uint8Array.of(0x78, 0xfe));
});

const refused: [text: string, message: RegExp, hint: RegExp | undefined][] = [
  ['', /path is empty/, undefined],
  ['db1:', /path is empty/, /write db1:\. for the login directory/],
  [':/srv', /host before the colon is empty/, /\.\/name/],
  ['@db1:/srv', /user before the @ is empty/, /user@host/],
  ['root@:/srv', /host before the colon is empty/, /\.\/name/],
  ['[2001:db8::1:/srv', /bracket around the address is not closed/, /\[2001:db8::1\]:path/],
  ['[2001:db8::1]/srv', /colon and a path have to follow/, /\[2001:db8::1\]:path/],
  ['[]:/srv', /host before the colon is empty/, undefined],
  ['2001:db8::1:/srv', /needs brackets/, /write \[2001:db8::1\]:path/],
  ['root@fe80::1:x', /needs brackets/, /write \[fe80::1\]:path/],
  ['::1', /needs brackets/, /write \[::1\]:path/],
  ['-oProxyCommand=id:/srv', /may begin with a dash/, undefined],
  ['-x@db1:/srv', /may begin with a dash/, undefined],
  ['[-oProxyCommand=id]:/srv', /may begin with a dash/, undefined],
  ['db 1:/srv', /no blanks/, undefined],
  ['db\u001b1:/srv', /no blanks and control/, undefined],
  ['ssh://db1/srv', /URLs are not understood/, /write \[user@\]host:path/],
  ['db1:~/data', /no shell on the far side expands ~/, /write data$/],
  ['db1:~', /expands ~/, /write \.$/],
  ['db1:/a\0b', /no NUL bytes/, undefined],
];

for (const [text, message, hint] of refused) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseEndpoint(text), {
      code: 'BAD_ENDPOINT',
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  });
}

test('a refusal shows no control characters', () => {
  assert.throws(
    () => parseEndpoint('a\u001b[2J:/x'),
    (error: Error) => !error.message.includes('\u001b'),
  );
});

test('the name of a copy is the last component, and some have none', () => {
  const nameOf = (text: string): string | undefined => {
    const name = nameOfCopy(parseEndpoint(text));
    return name === undefined ? undefined : Buffer.from(name).toString();
  };
  assert.equal(nameOf('db1:/srv/data/'), 'data');
  assert.equal(nameOf('db1:data'), 'data');
  assert.equal(nameOf('...'), '...');
  for (const text of ['/', 'db1:/', '.', 'db1:..', '/srv/..', '/srv/.']) assert.equal(nameOf(text), undefined, text);
});

test('a host is shown with brackets and called without', () => {
  const endpoint = { host: '2001:db8::1', user: 'root' };
  assert.equal(formatHost(endpoint), 'root@[2001:db8::1]');
  assert.equal(sshDestination(endpoint), 'root@2001:db8::1');
  assert.equal(formatHost({ host: undefined, user: undefined }), 'localhost');
});
