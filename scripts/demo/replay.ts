import { basename } from 'node:path';
import type { CopyDemo } from './copy-steps.ts';
import type { Damage } from './damage.ts';
import { diffWords, shown } from './proof.ts';
import type { SqliteDemo } from './sqlite-steps.ts';

// What a person types to see each step again, slowly.

type Line = { readonly about: string; readonly commands: readonly string[] };

/** The commands of all steps, in order. */
export function replayLines(sqlite: SqliteDemo, copy: CopyDemo, damage: Damage): Line[] {
  const { one, two, source } = copy;
  const leader = sqlite.leader.url;
  const replica = sqlite.replica.url;
  const staging = basename(damage.staging);
  const octal = damage.after.toString(8).padStart(3, '0');
  return [
    {
      about: 'the server and its replica, each in the background; their page is at the same address',
      commands: [background(sqlite.leaderWords(), leader), background(sqlite.replicaWords(), replica)],
    },
    {
      about: 'SQL at the leader, and what the replica has of it',
      commands: [
        `./baton sqlite shell ${leader} <<<"SELECT count(*), sum(bytes) FROM files"`,
        `./baton sqlite shell ${replica} <<<"SELECT count(*), sum(balance) FROM accounts"`,
        `./baton sqlite status ${replica}`,
      ],
    },
    {
      about: 'kill the leader, and start it again',
      commands: ['kill -9 %1; sleep 1', background(sqlite.leaderWords(), leader), `./baton sqlite status ${leader}`],
    },
    {
      about: 'a backup, judged by another SQLite',
      commands: [
        `rm -f ${source}/again.db`,
        `./baton sqlite backup ${leader} ${source}/again.db`,
        `sqlite3 ${source}/again.db 'PRAGMA integrity_check' || echo 'sqlite3 is not installed'`,
      ],
    },
    {
      about: 'copy it to two directories; Ctrl-C is as good as a kill',
      commands: [`rm -rf ${one} ${two}; mkdir -p ${one} ${two}`, baton(copy.copyWords())],
    },
    {
      about: `in a second terminal, meanwhile: kill the agent of ${one}`,
      commands: [`kill -9 $(find /proc/[0-9]*/fd -lname '*/${one}/.baton-*' 2>/dev/null | cut -d/ -f3 | sort -u)`],
    },
    {
      about: 'turn over one bit of what it left',
      commands: [
        `printf '\\${octal}' | dd bs=1 seek=${damage.offset} conv=notrunc status=none of=${one}/${staging}/tree/${damage.path}`,
      ],
    },
    { about: 'continue', commands: [baton(copy.copyWords())] },
    {
      about: 'compare',
      commands: [one, two].map(
        (target) => `${shown(diffWords(source, `${target}/${basename(source)}`))} && echo identical`,
      ),
    },
    { about: 'end the servers', commands: ['kill $(jobs -p)'] },
  ];
}

/** The same as a page to keep. */
export function replayPage(lines: readonly Line[], root: string): string {
  const steps = lines.map(({ about, commands }) => `# ${about}\n${commands.join('\n')}\n`);
  return `# The demo, step by step\n\nIn ${root}:\n\n\`\`\`sh\n${steps.join('\n')}\`\`\`\n`;
}

/** Starts a server in the background, and waits until it serves. */
function background(words: readonly string[], url: string): string {
  return `./baton sqlite serve ${shown(words)} & until curl -sf ${url}/ready; do sleep 0.2; done`;
}

function baton(words: readonly string[]): string {
  return `./baton ${shown(words)}`;
}
