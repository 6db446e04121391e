// Proves: calls as real servers make them are understood, word by word, and what we say to servers is what the stock methods say.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { parseCall } from '../src/contract/call.ts';
import { donorLines, joinerLines } from '../src/contract/lines.ts';
import { recordTranscripts, type Transcript, transcriptNames } from './recording.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
/** Set to write the transcripts anew instead of comparing them. */
const isRecording = process.env['BATON_RECORD_TRANSCRIPTS'] === '1';

function golden(name: string): Transcript {
  return JSON.parse(readFileSync(pathOf(name), 'utf8')) as Transcript;
}

function pathOf(name: string): URL {
  return new URL(`transcripts/mariadb-10.11-${name}.json`, import.meta.url);
}

const position = { uuid: '3c9f1b1e-c71e-11f0-9d1f-6f3a2a1e7b11', seqno: 17n, domainId: 0 };
const noPaths = {
  binlog: undefined,
  binlogIndex: undefined,
  logBasename: undefined,
  innodbDataHome: undefined,
  innodbLogGroupHome: undefined,
  innodbUndo: undefined,
  ariaLog: undefined,
};

if (isSoak || isRecording)
  test('real servers still call as they were recorded', { timeout: 180_000 }, async () => {
    await using sandbox = makeSandbox();
    const transcripts = await recordTranscripts(sandbox);
    assert.equal(transcripts.length, transcriptNames.length);
    for (const [index, name] of transcriptNames.entries()) {
      if (isRecording) writeFileSync(pathOf(name), `${JSON.stringify(transcripts[index], undefined, 2)}\n`);
      else assert.deepEqual(transcripts[index], golden(name), name);
    }
  });

test('what a joiner sees and says', () => {
  const { argv, environment, descriptors, lines } = golden('joiner-full');
  const call = parseCall(argv, environment);
  assert.deepEqual(call, {
    role: 'joiner',
    dialect: 'mariadb',
    address: { host: '127.0.0.1', port: 14_444, path: undefined },
    dataDirectory: '/var/lib/testbed/n2/data',
    optionFiles: { defaultsFile: '/var/lib/testbed/n2/my.cnf', defaultsExtraFile: undefined, groupSuffix: undefined },
    paths: { ...noPaths, binlog: 'binlog' },
    parentPid: 4242,
    isBypass: false,
    position: undefined,
    socket: undefined,
    localPort: undefined,
    progress: false,
    credentials: { user: 'sst', password: 'known-to-all-tests' },
    remote: undefined,
    serverArguments: ['--defaults-file=/var/lib/testbed/n2/my.cnf'],
    ignored: [],
  });
  assert.deepEqual(lines, ['ready 127.0.0.1:14444/rsync_sst', joinerLines.position(position, call.dialect)]);
  assert.ok(descriptors.includes('0 /dev/null'));
  assert.ok(descriptors.includes('more /var/lib/testbed/n2/data/grastate.dat'));
});

test('what a donor sees and says', () => {
  const { argv, environment, lines } = golden('donor-full');
  const call = parseCall(argv, environment);
  assert.deepEqual(call, {
    role: 'donor',
    dialect: 'mariadb',
    address: { host: '127.0.0.1', port: 14_444, path: 'rsync_sst' },
    dataDirectory: '/var/lib/testbed/n1/data',
    optionFiles: { defaultsFile: '/var/lib/testbed/n1/my.cnf', defaultsExtraFile: undefined, groupSuffix: undefined },
    paths: { ...noPaths, binlog: 'binlog', innodbDataHome: '.' },
    parentPid: undefined,
    isBypass: false,
    position,
    socket: '/var/lib/testbed/n1/s.sock',
    localPort: 3306,
    progress: false,
    credentials: { user: 'sst', password: 'known-to-all-tests' },
    remote: undefined,
    serverArguments: ['--defaults-file=/var/lib/testbed/n1/my.cnf', '--wsrep-new-cluster'],
    ignored: [],
  });
  const { flushTables, continue: goOn, done } = donorLines;
  assert.deepEqual(lines, [flushTables, goOn, done(position, call.dialect)]);
});

test('an incremental transfer differs by one word on the donor, and by none on the joiner', () => {
  const [donor, joiner] = [golden('donor-bypass'), golden('joiner-bypass')];
  const full = golden('donor-full');
  assert.deepEqual(
    donor.argv.filter((word) => word !== '--bypass'),
    full.argv,
  );
  const call = parseCall(donor.argv, donor.environment);
  assert.equal(call.isBypass, true);
  assert.deepEqual(donor.lines, [donorLines.continue, donorLines.done(position, call.dialect)]);
  assert.equal(parseCall(joiner.argv, joiner.environment).isBypass, false);
  assert.deepEqual(joiner.lines, golden('joiner-full').lines);
});

test('all four run in the data directory, with the modes of the server', () => {
  for (const name of transcriptNames) {
    const { workingDirectory, umask } = golden(name);
    assert.match(workingDirectory, /^\/var\/lib\/testbed\/n[12]\/data$/);
    assert.equal(umask, '0006');
  }
});
