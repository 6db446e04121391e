import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { root } from './baton.ts';
import { DemoFailure } from './failure.ts';

/** Runs the checkout's `./baton` to a good end. Throws DemoFailure with what it said otherwise. */
export function runQuietly(words: readonly string[]): Promise<void> {
  return new Promise((settle, reject) => {
    execFile(join(root, 'baton'), [...words], { cwd: root }, (error, _, stderr) => {
      if (error === null) settle();
      else reject(new DemoFailure(`./baton ${words.join(' ')} failed: ${stderr.trim() || error.message}`));
    });
  });
}
