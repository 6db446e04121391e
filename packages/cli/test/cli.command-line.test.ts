// Proves: every option reaches copy() with the value that was meant, and what was not meant is refused with a way out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint } from '@batondb/copy/endpoint';
import { defaultOptions } from '@batondb/copy/options';
import type { BatonError } from '@batondb/core/errors';
import { parseCommandLine, type Request } from '../src/command-line.ts';
import { parseHostsFile } from '../src/operands.ts';

type CopyRequest = Request & { kind: 'copy' };

function parseCopy(...words: string[]): CopyRequest {
  const request = parseCommandLine(['copy', ...words]);
  assert.ok(request.kind === 'copy');
  return request;
}

function refusal(...words: string[]): BatonError {
  try {
    parseCommandLine(words);
  } catch (error) {
    return error as BatonError;
  }
  throw new Error(`accepted: ${words.join(' ')}`);
}

test('without options a copy has the defaults', () => {
  const request = parseCopy('db1:/srv/data/', 'db2:/srv', './here');
  assert.deepEqual(request.options, defaultOptions);
  assert.deepEqual(request.view, { form: 'human', volume: 'normal' });
  assert.equal(formatEndpoint(request.plan.source), 'db1:/srv/data');
  assert.deepEqual(request.plan.targets.map(formatEndpoint), ['db2:/srv', './here']);
});

test('every option reaches the copy', () => {
  const words =
    `--type decompress --as copy --exclude *.log --exclude=/cache --one-file-system --agent /opt/baton --sudo --port 5000 --bind 10.0.0.0/8 --firewall iptables ` +
    `--priority normal --bwlimit 800Mbit --topology star --order near --streams 2 --compress zstd:7 --verify disk --dry-run`;
  const request = parseCopy('db1:/a', 'db2:/b', ...words.split(' '), '--ssh', `ssh -F 'my conf'`, '--json');
  assert.deepEqual(request.options, {
    input: { kind: 'tree' },
    type: 'decompress',
    as: 'copy',
    exclude: ['*.log', '/cache'],
    oneFileSystem: true,
    ssh: ['ssh', '-F', 'my conf'],
    agent: '/opt/baton',
    sudo: 'all',
    port: 5000,
    bind: '10.0.0.0/8',
    firewall: 'iptables',
    priority: 'normal',
    bandwidthBytesPerSecond: 100_000_000,
    topology: 'star',
    order: 'near',
    streams: 2,
    compress: { mode: 'zstd', level: 7 },
    verify: 'disk',
    dryRun: true,
  });
  assert.deepEqual(request.view, { form: 'json', volume: 'normal' });
});

test('options stand before, between and after the operands', () => {
  for (const words of [
    ['-v', 'a', 'b:c', 'd:e'],
    ['a', '-v', 'b:c', 'd:e'],
    ['a', 'b:c', 'd:e', '-v'],
  ]) {
    const { view, plan } = parseCopy(...words);
    assert.equal(view.volume, 'verbose');
    assert.equal(plan.targets.length, 2);
  }
  assert.equal(formatEndpoint(parseCopy('--', '-odd', 'b:c').plan.source), '-odd');
});

test('hosts for sudo are named as in the endpoints, with or without their user', () => {
  const words = ['root@db1:/a', '[2001:db8::1]:/b', 'db3:/c', '--sudo-on'];
  for (const [name, host] of [
    ['db1', 'db1'],
    ['root@db1', 'db1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
  ]) {
    assert.deepEqual(parseCopy(...words, name ?? '').options.sudo, [host]);
  }
  assert.deepEqual(parseCopy(...words, 'db1', '--sudo-on', 'db3').options.sudo, ['db1', 'db3']);
  assert.match(refusal('copy', 'db1:/a', 'db22:/b', '--sudo-on', 'db2').hint ?? '', /did you mean db1\?/);
  assert.match(refusal('copy', '/a', '/b', '--sudo-on', 'db2').hint ?? '', /every path of this copy is local/);
});

test('compression by word and level', () => {
  const modeOf = (text: string): unknown => parseCopy('a', 'b:c', '--compress', text).options.compress;
  assert.deepEqual(modeOf('auto'), { mode: 'auto' });
  assert.deepEqual(modeOf('none'), { mode: 'none' });
  assert.deepEqual(modeOf('zstd'), { mode: 'zstd', level: 1 });
  assert.deepEqual(modeOf('zstd:19'), { mode: 'zstd', level: 19 });
});

const refused: [words: string[], message: RegExp, hint: RegExp | undefined][] = [
  [['cpoy', 'a', 'b:c'], /unknown command 'cpoy'/, /did you mean copy\?/],
  [['copy'], /missing required argument 'source'/, /--help/],
  [['copy', 'a'], /there is no target to copy a to/, /--help/],
  [['copy', 'a', 'b:c', '--exlude', 'x'], /unknown option '--exlude'/, /did you mean --exclude\?/],
  [['copy', 'a', 'b:c', '--topology', 'chian'], /--topology is chain or star, not 'chian'/, /did you mean chain\?/],
  [['copy', 'a', 'b:c', '--port', '70000'], /--port is a whole number from 0 to 65535, not '70000'/, undefined],
  [['copy', 'a', 'b:c', '--port', '0x1'], /whole number/, undefined],
  [['copy', 'a', 'b:c', '--streams', '33'], /from 0 to 32/, undefined],
  [['copy', 'a', 'b:c', '--compress', 'zstd:20'], /level from 1 to 19/, undefined],
  [['copy', 'a', 'b:c', '--compress', 'gzip'], /auto, none, zstd or zstd:LEVEL/, undefined],
  [['copy', 'a', 'b:c', '--bind', 'eth0'], /--bind is an address or network/, /10\.0\.0\.0\/8/],
  [['copy', 'a', 'b:c', '--bind', '10.0.0.0/33'], /--bind/, undefined],
  [['copy', 'a', 'b:c', '--bwlimit', '200Mb'], /'200Mb' is not a rate/, /200MB/],
  [['copy', 'a', 'b:c', '--as', 'x/y'], /one name without slashes/, undefined],
  [['copy', 'a', 'b:c', '--as', '..'], /one name without slashes/, undefined],
  [['copy', 'a', 'b:c', '--as', 'é'.repeat(128)], /longer than 255 bytes/, undefined],
  [['copy', 'a', 'b:c', '--exclude', ''], /--exclude is empty/, undefined],
  [['copy', 'a', 'b:c', '--ssh', ' '], /--ssh is empty/, /--ssh ssh/],
  [['copy', 'a', 'b:c', '--ssh', `ssh 'x`], /does not end/, undefined],
  [['copy', 'a', 'b:c', '--agent', '-x'], /--agent is the path/, undefined],
  [['copy', 'a', 'b:c', '-q', '-v'], /cannot be used with/, undefined],
  [['copy', 'a', 'b:c', '-q', '--json'], /cannot be used with/, undefined],
  [['copy', 'db1:/', 'b:c'], /source db1:\/ has no name of its own/, /--as NAME/],
  [['copy', 'a', 'b:c', 'b:c/'], /target b:c is given twice/, undefined],
  [['copy', 'a', 'b:'], /path is empty/, /write b:\./],
  [['copy', 'a', '@/nowhere/list'], /cannot read the list of targets/, /\.\/@name/],
  [['help', 'exit-cods'], /no help on 'exit-cods'/, /did you mean exit-codes\?/],
  [['copy', 'clean'], /missing required argument 'directory'/, undefined],
  [['copy', 'clean', 'a', 'b'], /too many arguments/, undefined],
];

for (const [words, message, hint] of refused) {
  test(`refused: baton ${words.map((word) => word.slice(0, 30)).join(' ')}`, () => {
    const error = refusal(...words);
    assert.match(error.message, message);
    assert.ok(error.code === 'USAGE' || error.code === 'BAD_ENDPOINT', error.code);
    if (hint !== undefined) assert.match(error.hint ?? '', hint);
  });
}

test('clean is a command of its own, and ./clean a source', () => {
  const request = parseCommandLine(['copy', 'clean', 'db1:/srv', '--dry-run', '--sudo-on', 'db1']);
  assert.equal(request.kind, 'clean');
  if (request.kind !== 'clean') return;
  assert.equal(formatEndpoint(request.directory), 'db1:/srv');
  assert.equal(request.options.dryRun, true);
  assert.deepEqual(request.options.sudo, ['db1']);
  assert.equal(formatEndpoint(parseCopy('./clean', 'db1:/srv').plan.source), './clean');
});

test('help is a text, asked for or not', () => {
  const asked = [
    ['--help'],
    ['copy', '--help'],
    ['copy', 'clean', '-h'],
    ['help'],
    ['help', 'copy'],
    ['help', 'exit-codes'],
  ];
  for (const words of asked) {
    const request = parseCommandLine(words);
    assert.ok(request.kind === 'text' && request.isAsked && request.text.length > 200, words.join(' '));
  }
  const request = parseCommandLine([]);
  assert.ok(request.kind === 'text' && !request.isAsked);
});

test('the help of commands fits into 100 columns', () => {
  for (const words of [['--help'], ['copy', '--help'], ['copy', 'clean', '--help'], ['verify', '--help']]) {
    const request = parseCommandLine(words);
    const lines = request.kind === 'text' ? request.text.split('\n') : [];
    assert.deepEqual(
      lines.filter((line) => line.length > 100),
      [],
      words.join(' '),
    );
  }
});

test('the help of copy names every option of CopyOptions', () => {
  const request = parseCommandLine(['copy', '--help']);
  const text = request.kind === 'text' ? request.text : '';
  const spelled = {
    oneFileSystem: 'one-file-system',
    bandwidthBytesPerSecond: 'bwlimit',
    dryRun: 'dry-run',
    input: 'exec',
  } as const;
  for (const name of ['as', ...Object.keys(defaultOptions)]) {
    const flag = (spelled as Readonly<Record<string, string>>)[name] ?? name;
    assert.match(text, new RegExp(`--${flag}\\b`), flag);
  }
});

test('a list of targets is read line by line', () => {
  const targets = parseHostsFile('# replicas\n\n  db2:/srv\r\nroot@[2001:db8::1]:/srv/a b\n  # end', 'hosts.txt');
  assert.deepEqual(targets.map(formatEndpoint), ['db2:/srv', 'root@[2001:db8::1]:/srv/a b']);
});

test('a line of a list that is no remote target is named with file and line', () => {
  assert.throws(() => parseHostsFile('db2:/srv\ndb3', 'hosts.txt'), {
    code: 'BAD_ENDPOINT',
    message: `hosts.txt:2: 'db3' names no host`,
    hint: /\[user@\]host:directory/,
  });
  assert.throws(() => parseHostsFile('\n\n:x', 'hosts.txt'), {
    code: 'BAD_ENDPOINT',
    message: /^hosts\.txt:3: ':x': the host/,
  });
});
