// What a host's agent is started through, so that a test can have one host be different: `--agent` is one path for all hosts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bed } from '@batondb/testbed/hosts';

const standIn = join(import.meta.dirname, 'agent-stand-in.ts');

/** Makes the script for `--agent`: baton, after whatever the home directory of the login has as `.before-agent`. */
export function makeAgent(bed: Bed): string {
  const path = join(bed.path, '.bed', 'agent');
  writeFileSync(
    path,
    '#!/bin/sh\nif [ -f "$HOME/.before-agent" ]; then . "$HOME/.before-agent"; fi\nexec baton "$@"\n',
    {
      mode: 0o755,
    },
  );
  return path;
}

/** Has the shell run a script on a host before the agent, or instead of it. `home`: that of the login. */
export function beforeAgent(home: string, script: string): void {
  writeFileSync(join(home, '.before-agent'), `${script}\n`, { mode: 0o644 });
}

/** Has a host's agent greet with other fields than it has, such as the versions of another release. */
export function greetWith(home: string, changes: Readonly<Record<string, unknown>>): void {
  const words = [process.execPath, standIn, JSON.stringify(changes)].map((word) => `'${word}'`);
  beforeAgent(home, `exec ${words.join(' ')} "$@"`);
}
