// Proves: the command as a process reads /etc/baton/config.yaml and the user's file, obeys them, and says which.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { quoteWord } from '@batondb/core/text/words';

const baton = resolve(import.meta.dirname, '../../../baton');
const timeout = 60_000;

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** A machine whose /etc/baton and whose user's files are of this test alone, with a tree to copy and a directory for it. */
class Machine {
  readonly path: string;
  readonly systemFile: string;
  readonly userFile: string;
  readonly operands: readonly string[];

  constructor(t: TestContext) {
    this.path = mkdtempSync(join(tmpdir(), 'baton-config-'));
    t.after(() => rmSync(this.path, { recursive: true, force: true }));
    for (const name of ['system', 'user/baton', 'source', 'target', 'layers'])
      mkdirSync(join(this.path, name), { recursive: true });
    this.systemFile = join(this.path, 'system', 'config.yaml');
    this.userFile = join(this.path, 'user', 'baton', 'config.yaml');
    for (const name of ['kept', 'a.log', 'b.tmp']) writeFileSync(join(this.path, 'source', name), name);
    this.operands = [join(this.path, 'source'), join(this.path, 'target')];
  }

  write(file: string, ...lines: readonly string[]): void {
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    chmodSync(file, 0o644);
  }

  /** Runs baton where /etc/baton is ours: in a mount namespace of its own, with a layer over /etc. */
  async run(...words: readonly string[]): Promise<Ended> {
    const layers = join(this.path, 'layers');
    const script = [
      `mount -t tmpfs none ${layers}`,
      `mkdir ${layers}/upper ${layers}/work`,
      `mount -t overlay overlay -o lowerdir=/etc,upperdir=${layers}/upper,workdir=${layers}/work /etc`,
      `mkdir -p /etc/baton`,
      `mount --bind ${join(this.path, 'system')} /etc/baton`,
      `exec ${[baton, ...words].map(quoteWord).join(' ')}`,
    ].join('\n');
    const env = { ...process.env, XDG_CONFIG_HOME: join(this.path, 'user') };
    const child = spawn('unshare', ['--mount', 'sh', '-ec', script], { stdio: ['ignore', 'pipe', 'pipe'], env });
    const exited = once(child, 'exit') as Promise<[number | null]>;
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
    return { code, stdout, stderr };
  }

  copied(): string[] {
    return readdirSync(join(this.path, 'target', 'source')).sort();
  }
}

test('system, user and command line, one over the other', { timeout }, async (t) => {
  const machine = new Machine(t);
  machine.write(machine.systemFile, 'copy:', "  exclude: ['*.log']", '  as: x');
  const refused = await machine.run('copy', ...machine.operands);
  assert.deepEqual(refused, {
    code: 2,
    stdout: '',
    stderr: `baton: /etc/baton/config.yaml:3: 'as' belongs to one copy and can have no default\n  hint: give it on the command line: --as\n`,
  });

  machine.write(machine.systemFile, 'copy:', "  exclude: ['*.log']", '  verbose: true');
  const system = await machine.run('copy', ...machine.operands);
  assert.equal(system.code, 0, system.stderr);
  assert.match(
    system.stderr,
    /^config \/etc\/baton\/config\.yaml\nconfig .*user\/baton\/config\.yaml: there is none\n/,
  );
  assert.deepEqual(machine.copied(), ['b.tmp', 'kept']);

  rmSync(join(machine.path, 'target', 'source'), { recursive: true });
  machine.write(machine.userFile, 'copy:', "  exclude: ['*.tmp']", '  verbose: false');
  const user = await machine.run('copy', ...machine.operands);
  assert.equal(user.code, 0, user.stderr);
  assert.doesNotMatch(user.stderr, /^config/m);
  assert.deepEqual(machine.copied(), ['a.log', 'kept']);

  rmSync(join(machine.path, 'target', 'source'), { recursive: true });
  const said = await machine.run('copy', '--exclude', 'kept', ...machine.operands);
  assert.equal(said.code, 0, said.stderr);
  assert.deepEqual(machine.copied(), ['a.log', 'b.tmp']);
});

test('baton config shows what holds and from where, for people and for programs', { timeout }, async (t) => {
  const machine = new Machine(t);
  assert.match((await machine.run('config')).stdout, /^no configuration file was read\n\n/);
  machine.write(machine.systemFile, 'copy:', '  bwlimit: 200MB', '  port: 5000');
  machine.write(machine.userFile, 'copy:', '  port: 6000');
  const human = await machine.run('config');
  assert.equal(human.code, 0, human.stderr);
  assert.match(human.stdout, /^  bwlimit +200MB +\/etc\/baton\/config\.yaml:2$/m);
  assert.match(human.stdout, new RegExp(`^  port +6000 +${machine.userFile}:2$`, 'm'));
  assert.match(human.stdout, /^  compress +auto +default$/m);
  type Shown = { readonly files: readonly string[]; readonly options: readonly { name: string; from: string }[] };
  const json = JSON.parse((await machine.run('config', '--json', '--config', machine.systemFile)).stdout) as Shown;
  assert.deepEqual(json.files, [machine.systemFile]);
  assert.equal(json.options.find(({ name }) => name === 'port')?.from, `${machine.systemFile}:3`);
});

test('a file that others can write stops every command that would read it, and nothing is copied', {
  timeout,
}, async (t) => {
  const machine = new Machine(t);
  // The program it names would leave a mark.
  const mark = join(machine.path, 'mark');
  machine.write(machine.userFile, 'copy:', `  ssh: touch ${mark}`);
  chmodSync(machine.userFile, 0o666);
  for (const words of [['copy', 'db1:/a', join(machine.path, 'target')], ['copy', 'clean', 'db1:/srv'], ['config']]) {
    const ended = await machine.run(...words);
    assert.equal(ended.code, 2, words.join(' '));
    assert.match(ended.stderr, /can be written by others than its owner \(mode 0666\)\n {2}hint: run: chmod go-w /);
  }
  assert.equal(existsSync(mark), false);
  assert.equal((await machine.run('copy', '--no-config', ...machine.operands)).code, 0);
  assert.equal(readFileSync(join(machine.path, 'target/source/kept'), 'utf8'), 'kept');
});

test('transferpy’s command lines run as they are', { timeout }, async (t) => {
  const machine = new Machine(t);
  const words = ['--type', 'file', '--compress', ...machine.operands, '--encrypt', '--checksum', '--verbose'];
  const ended = await machine.run('copy', ...words);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(machine.copied(), ['a.log', 'b.tmp', 'kept']);
  const refused = await machine.run('copy', '--no-encrypt', ...machine.operands);
  assert.deepEqual(refused, {
    code: 2,
    stdout: '',
    stderr: 'baton: --no-encrypt: encryption cannot be turned off\n  hint: leave the option out\n',
  });
});
