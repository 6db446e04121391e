// Proves: a command line in transferpy's words means the same here, or is refused; it never means something else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint } from '@batondb/copy/endpoint';
import { type CopyOptions, defaultOptions } from '@batondb/copy/options';
import { parseCommandLine, type Request } from '../src/command-line.ts';

type CopyRequest = Request & { kind: 'copy' };

function parseCopy(...words: readonly string[]): CopyRequest {
  const request = parseCommandLine(['copy', ...words]);
  assert.ok(request.kind === 'copy');
  return request;
}

const operands = ['db1.example.org:/srv/data', 'db2.example.org:/srv', 'db3.example.org:/srv'];

const accepted: [words: string[], options: Partial<CopyOptions>][] = [
  [['--type', 'file'], {}],
  [['--type=file'], {}],
  [['--port', '4410'], { port: 4410 }],
  [['--port', '0'], {}],
  [['--compress'], {}],
  [['--no-compress'], { compress: { mode: 'none' } }],
  [['--encrypt'], {}],
  [['--checksum'], { verify: 'disk' }],
  [['--no-checksum'], { verify: 'wire' }],
  [['--parallel-checksum'], { verify: 'wire' }],
  [['--no-parallel-checksum'], {}],
  // As there: the stronger check counts.
  [['--checksum', '--parallel-checksum'], { verify: 'disk' }],
  [['--parallel-checksum', '--checksum'], { verify: 'disk' }],
  [['--no-checksum', '--parallel-checksum'], { verify: 'wire' }],
  [['--compress', '--encrypt', '--checksum', '--type', 'file'], { verify: 'disk' }],
];

for (const [words, options] of accepted) {
  test(`${words.join(' ')} before, between and after the operands`, () => {
    const [source = '', ...targets] = operands;
    for (const line of [
      [...words, ...operands],
      [source, ...words, ...targets],
      [...operands, ...words],
    ]) {
      const request = parseCopy(...line);
      assert.deepEqual(request.options, { ...defaultOptions, ...options }, line.join(' '));
      assert.deepEqual([request.plan.source, ...request.plan.targets].map(formatEndpoint), operands);
    }
  });
}

test('--verbose and --config have the same name', () => {
  assert.equal(parseCopy('--verbose', ...operands).view.volume, 'verbose');
  assert.deepEqual(parseCopy('--config', '/nowhere', ...operands).options, defaultOptions);
});

test('a value after --compress is its value; only what can be nothing but a path is not', () => {
  const compressOf = (...words: string[]): unknown => parseCopy(...words).options.compress;
  assert.deepEqual(compressOf('--compress', 'none', 'a:/b', 'c:d'), { mode: 'none' });
  assert.deepEqual(compressOf('--compress', 'zstd:7', 'a:/b', 'c:d'), { mode: 'zstd', level: 7 });
  for (const source of ['a:b', './a', '/a', 'a/b', '.']) {
    const request = parseCopy('--compress', source, 'c:d', '--as', 'x');
    assert.deepEqual(request.options.compress, { mode: 'auto' });
    assert.equal(formatEndpoint(request.plan.source), source);
  }
  assert.deepEqual(compressOf('--compress', '--as', 'x', 'a:/b', 'c:d'), { mode: 'auto' });
  // The value of another option, and an operand behind --.
  assert.equal(parseCopy('--as', '--compress', 'a:/b', 'c:d').options.as, '--compress');
  assert.equal(formatEndpoint(parseCopy('--', '--compress', 'c:d').plan.source), '--compress');
  // A typo of a value is not taken for the source.
  for (const typo of ['gzip', 'zstd:20', 'zstd:x', 'data']) {
    assert.throws(() => parseCopy('--compress', typo, 'a:/b', 'c:d'), { message: /--compress is auto, none/ });
  }
});

const refused: [words: string[], message: RegExp][] = [
  [['--type', 'copy'], /--type is .*not 'copy'/],
  [['--checksum', '--verify', 'wire'], /cannot be used with/],
  [['--verify', 'disk', '--no-checksum'], /cannot be used with/],
  [['--parallel-checksum', '--verify', 'disk'], /cannot be used with/],
  [['--checksun'], /unknown option '--checksun'/],
];

for (const [words, message] of refused) {
  test(`refused: ${words.join(' ')}`, () => {
    assert.throws(() => parseCopy(...words, ...operands), { code: 'USAGE', message });
  });
}

test('encryption cannot be turned off', () => {
  const expected = { code: 'USAGE', message: /encryption cannot be turned off/, hint: /leave the option out/ };
  assert.throws(() => parseCopy('--no-encrypt', ...operands), expected);
  assert.throws(() => parseCopy('--no-encrypt', '--encrypt', ...operands), expected);
});

test('they are of the command line, and win over a file', () => {
  const read = (): { path: string; text: string }[] => [{ path: 'f', text: 'copy: {verify: disk, compress: zstd:9}' }];
  const request = parseCommandLine(['copy', '--no-checksum', '--no-compress', ...operands], read);
  assert.ok(request.kind === 'copy');
  assert.deepEqual(request.options, { ...defaultOptions, compress: { mode: 'none' } });
});
