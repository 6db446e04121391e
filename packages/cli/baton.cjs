#!/usr/bin/env node
'use strict';
// The launcher: plain CommonJS that any Node from 18 on can run. It finds Node 24 and the command's entry, and then replaces
// itself by execve, so that the command has the process id a caller knows: a kill of it leaves nothing behind.
// It reads no option but the command's name, and prints nothing but its own failures.

const fs = require('node:fs');
const path = require('node:path');

const nodeMajorMin = 24;
/** sysexits.h EX_UNAVAILABLE: something the program needs is not there. */
const exitUnavailable = 69;

/**
 * The entry of the command: of a checkout its build, if no source has changed since, or its sources; of an installed package what it
 * was published with. Node strips no types below node_modules.
 */
function findEntry() {
  const source = path.join(__dirname, 'src', 'main.ts');
  const published = path.join(__dirname, 'dist', 'main.js');
  if (!__dirname.split(path.sep).includes('node_modules') && fs.existsSync(source)) return findBuilt() || source;
  return fs.existsSync(published) ? published : undefined;
}

/**
 * What scripts/build.ts has built, unless a source of it is not as it was then. The time is that of the last change of the inode, which
 * nobody can set: an edited file counts as changed whatever its time of modification says.
 */
function findBuilt() {
  const root = path.join(__dirname, '..', '..', path.sep);
  const built = path.join(__dirname, 'built');
  try {
    const isAsBuilt = ([name, changedMs, bytes]) => {
      const stat = fs.statSync(root + name);
      return stat.ctimeMs === changedMs && stat.size === bytes;
    };
    const inputs = JSON.parse(fs.readFileSync(path.join(built, 'inputs.json'), 'utf8'));
    if (!inputs.every(isAsBuilt)) return undefined;
    // An agent is one file of its own, and one starts on every host of every copy.
    const isAgent = process.argv.length === 3 && process.argv[2] === 'agent';
    return isAgent ? path.join(built, 'copy', 'src', 'agent', 'run.js') : path.join(built, 'cli', 'src', 'main.js');
  } catch {
    // Never built, or a source is gone.
    return undefined;
  }
}

/** A Node that is new enough: the running one, else the one of the optional dependency, looked for as Node looks for packages. */
function findNode() {
  if (parseInt(process.versions.node, 10) >= nodeMajorMin) return process.execPath;
  const packageName = 'node-' + process.platform + '-' + process.arch;
  for (let directory = __dirname; ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'node_modules', packageName, 'bin', 'node');
    if (isExecutable(candidate)) return candidate;
    if (directory === path.dirname(directory)) return undefined;
  }
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The directory where Node keeps compiled code between starts, or undefined. What lies there is executed, so it must be a real
 * directory of this very user that nobody else can write to, in one of which the same holds.
 */
function compileCacheDirectory() {
  const cacheHome = process.env.XDG_CACHE_HOME || (process.env.HOME && path.join(process.env.HOME, '.cache'));
  if (!cacheHome || !path.isAbsolute(cacheHome)) return undefined;
  const own = path.join(cacheHome, 'baton');
  try {
    if (!isPrivate(cacheHome, 0o022)) return undefined;
    try {
      fs.mkdirSync(own, { mode: 0o700 });
    } catch (error) {
      if (error.code !== 'EEXIST') return undefined;
    }
    return isPrivate(own, 0o077) ? path.join(own, 'compiled') : undefined;
  } catch {
    return undefined;
  }
}

function isPrivate(directory, forbiddenMode) {
  const stat = fs.lstatSync(directory);
  return stat.isDirectory() && stat.uid === process.geteuid() && (stat.mode & forbiddenMode) === 0;
}

function environment() {
  const env = Object.assign({}, process.env);
  const directory = env.NODE_COMPILE_CACHE || env.NODE_DISABLE_COMPILE_CACHE ? undefined : compileCacheDirectory();
  if (directory) env.NODE_COMPILE_CACHE = directory;
  return env;
}

/**
 * What the user typed, as bytes: a path need not be UTF-8, and process.argv has U+FFFD for what is not.
 * The entry reads its own bytes from /proc/self/cmdline too.
 */
function userArguments() {
  const count = process.argv.length - 2;
  const args = process.argv.slice(2);
  if (count === 0 || !args.some((arg) => arg.includes('\ufffd'))) return args;
  const bytes = fs.readFileSync('/proc/self/cmdline');
  const raw = [];
  for (let start = 0; start < bytes.length; start = bytes.indexOf(0, start) + 1) {
    raw.push(bytes.subarray(start, bytes.indexOf(0, start)));
  }
  return raw.slice(-count);
}

/** execve(2) by the C library, for a Node without process.execve and for bytes. Returns only when it failed. */
function executeByLibc(node, argv, env) {
  const koffi = require('koffi');
  const libc = koffi.load(null);
  const fcntl = libc.func('int fcntl(int descriptor, int command, ...)');
  const execve = libc.func('int execve(const char *file, void **argv, void **envp)');
  const setDescriptorFlags = 2;
  // Node marks the standard streams close-on-exec at its start.
  for (const descriptor of [0, 1, 2]) fcntl(descriptor, setDescriptorFlags, 'int', 0);
  const vector = (strings) => strings.map((string) => Buffer.concat([Buffer.from(string), Buffer.of(0)])).concat(null);
  execve(node, vector(argv), vector(Object.entries(env).map(([name, value]) => name + '=' + value)));
}

/** The last resort: a child with our streams, our signals and its exit status as ours. */
function executeAsChild(node, argv, env) {
  const child = require('node:child_process').spawn(node, argv.slice(1).map(String), {
    argv0: argv[0],
    env,
    stdio: 'inherit',
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail('cannot start ' + node + ': ' + error.message));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function execute(node, argv, env) {
  const isText = argv.every((arg) => typeof arg === 'string');
  if (isText && typeof process.execve === 'function') return process.execve(node, argv, env);
  try {
    executeByLibc(node, argv, env);
  } catch {
    // koffi is not installed or does not load here: what follows works everywhere.
  }
  executeAsChild(node, argv, env);
}

function fail(message) {
  process.stderr.write('baton: ' + message + '\n');
  process.exit(exitUnavailable);
}

function main() {
  const entry = findEntry();
  if (!entry) {
    return fail('neither src/main.ts nor dist/main.js is in ' + __dirname + '\nrun: npm ci && npm run build');
  }
  const node = findNode();
  if (!node) {
    return fail(
      'needs Node.js ' +
        nodeMajorMin +
        ' or newer, and this is ' +
        process.version +
        ' on ' +
        process.platform +
        '-' +
        process.arch +
        '\nrun: npm ci   (in ' +
        path.resolve(__dirname, '..', '..') +
        '; without --omit=optional, it brings node-' +
        process.platform +
        '-' +
        process.arch +
        ')\nor install Node.js ' +
        nodeMajorMin +
        ' and put it first in PATH: https://nodejs.org/en/download',
    );
  }
  const flags = ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning'];
  // What streams for weeks makes much garbage, and V8 takes 100 MiB more for it where there is room. Measured: no more time.
  if (process.argv[2] === 'sync') flags.push('--max-semi-space-size=8');
  execute(node, [process.argv0 || 'node'].concat(flags, entry, userArguments()), environment());
}

main();
