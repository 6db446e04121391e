// What becomes of each command when the lead of the log is lost, as transcripts that can be read: transcripts/*.txt.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseScenes, Stage } from './transcript.ts';

/** Which append meets the fault. */
const commands = ['begin', 'frames', 'frames-first-part', 'frames-last-part', 'undo'];
/** A node that does not lead any more when it appends needs nobody's word on it; else a quorum took the entry, or did not. */
const faults = ['not leader', 'leadership lost, quorum', 'leadership lost, no quorum'];
const leaders = ['same leader next', 'other leader next'];
const titles = faults.flatMap((fault) => leaders.map((leader) => `${fault}, ${leader}`));

/** Writes what is seen into the files, for who changes them on purpose and reads the difference. */
const isRecording = process.env['BATON_RECORD'] === '1';

for (const command of commands) {
  const path = new URL(`./transcripts/${command}.txt`, import.meta.url);
  const text = readFileSync(path, 'utf8');
  const scenes = parseScenes(text);

  // Proves: no combination is left out.
  test(`${command}: all combinations`, () => {
    assert.deepEqual(
      scenes.map(({ title }) => title),
      titles,
    );
  });

  let recorded = text.slice(0, text.indexOf('== '));
  for (const { title, steps } of scenes) {
    // Proves: no reply reveals what is refused later, every receipt is right, and who reads the log anew sees the same (N1, M3 to M6).
    test(`${command}: ${title}`, async () => {
      const stage = await Stage.open();
      recorded += `== ${title}\n\n`;
      for (const { command: line, seen } of steps) {
        const found = await stage.play(line);
        recorded += `${line}\n----\n${found}\n\n`;
        if (!isRecording) assert.equal(found, seen, line);
      }
      if (isRecording) writeFileSync(path, `${recorded.trimEnd()}\n`);
    });
  }
}
