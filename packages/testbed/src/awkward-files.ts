// Parts of the awkward tree that need more than a shell: names that are no text, holes, and paths beyond PATH_MAX.
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from './processes.ts';
import { Random } from './random.ts';

const kib = 1024;
const mib = 1024 * kib;

/** Files whose names are bytes, and files around the size of a unit. */
export async function makeNames(directory: string): Promise<void> {
  mkdirSync(directory);
  const names: (string | Buffer)[] = [
    'plain',
    ' leading and trailing ',
    '-leading-dash',
    '--help',
    '~',
    '*',
    '$HOME `id` $(id)',
    'back\\slash',
    '"double" and \'single\'',
    'new\nline',
    'carriage\rreturn\ttab',
    '\u001b[31mcolour',
    '.hidden',
    '...',
    'a:b',
    '[::1]',
    'zażółć-日本語-🥁',
    // The same letter in two forms, which must stay two files.
    'e\u0301',
    '\u00e9',
    Buffer.from([0x66, 0xff, 0xfe, 0x80]),
    Buffer.from([0xc3]),
    Buffer.from([1, 2, 3, 127]),
    'n'.repeat(255),
    Buffer.alloc(255, 0xfe),
  ];
  const inside = (name: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
  for (const [index, name] of names.entries()) writeFileSync(inside(name), `content ${index}\n`);
  mkdirSync(inside(Buffer.from([0xff, 0x0a, 0x64])));
  writeFileSync(Buffer.concat([inside(Buffer.from([0xff, 0x0a, 0x64])), Buffer.from('/inside')]), 'inside\n');
  linkSync(inside('new\nline'), inside('a second\nname'));
  const random = new Random(7).fork('sizes');
  for (const sizeBytes of [1, 4095, 4096, mib - 1, mib, mib + 1, 3 * mib + 17]) {
    const content = Buffer.alloc(sizeBytes);
    random.fill(content);
    writeFileSync(join(directory, `bytes-${sizeBytes}`), content);
  }
}

type Data = readonly [offset: number, length: number];

function writeSparse(path: string, sizeBytes: number, data: readonly Data[]): void {
  const random = new Random(11).fork(String(sizeBytes));
  const file = openSync(path, 'wx');
  try {
    ftruncateSync(file, sizeBytes);
    for (const [offset, length] of data) {
      const content = Buffer.alloc(length);
      random.fill(content);
      writeSync(file, content, 0, length, offset);
    }
  } finally {
    closeSync(file);
  }
}

/** Files with holes in every place; `hugeBytes` adds one of that size. */
export function makeSparseFiles(directory: string, hugeBytes: number | undefined): void {
  mkdirSync(directory);
  const at = (name: string): string => join(directory, name);
  writeSparse(at('hole-at-start'), 4 * mib, [[3 * mib, mib]]);
  writeSparse(at('hole-at-end'), 4 * mib, [[0, mib]]);
  writeSparse(at('hole-in-the-middle'), 8 * mib, [
    [0, mib],
    [7 * mib, mib],
  ]);
  writeSparse(at('all-hole'), 16 * mib, []);
  // Neither the size nor the data falls on a block.
  writeSparse(at('odd-size'), 5 * mib + 123, [
    [mib + 77, 10],
    [5 * mib + 100, 23],
  ]);
  // Zeros that are written are data: a copy may make holes of them only if it says so.
  writeFileSync(at('written-zeros'), Buffer.alloc(2 * mib));
  writeSparse(
    at('extents-3000'),
    3000 * 8 * kib,
    Array.from({ length: 3000 }, (_, index): Data => [index * 8 * kib, 4 * kib]),
  );
  if (hugeBytes === undefined) return;
  writeSparse(at('huge'), hugeBytes, [
    [0, 4 * kib],
    [Math.floor(hugeBytes / 2), 64 * kib],
    [hugeBytes - mib, mib],
  ]);
}

/**
 * Makes directories in one another, and in the last a file whose path below `directory` has `pathBytes` bytes. No system call
 * takes such a path in one piece, so a child process walks down. Returns the length of that path.
 */
export async function makeDeepPath(directory: string, name: string, pathBytes: number): Promise<number> {
  const program = `
    my ($name, $bytes) = @ARGV;
    my $path = $name;
    mkdir $name or die "mkdir: $!"; chdir $name or die "chdir: $!";
    while ($bytes - length($path) > 300) {
      my $part = "d" x 200;
      mkdir $part or die "mkdir: $!"; chdir $part or die "chdir: $!";
      $path .= "/$part";
    }
    my $left = $bytes - length($path) - 2;
    my $part = "e" x int($left / 2);
    mkdir $part or die "mkdir: $!"; chdir $part or die "chdir: $!";
    $path .= "/$part";
    my $file = "f" x ($bytes - length($path) - 1);
    open(my $handle, ">", $file) or die "open: $!"; print $handle "deep\\n"; close $handle;
    symlink("elsewhere", "link") or die "symlink: $!";
    link($file, "second") or die "link: $!";
    system("setfattr", "-n", "user.deep", "-v", "yes", "--", $file) == 0 or die "setfattr";
    chmod 0640, $file; utime 1, 1234567890, $file;
    print length("$path/$file");`;
  const { stdout } = await mustRun(['perl', '-e', program, name, String(pathBytes)], { cwd: directory });
  return Number(stdout);
}
