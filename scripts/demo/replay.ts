import { basename } from 'node:path';
import type { Damage } from './damage.ts';
import { diffWords, findWords, shown } from './proof.ts';
import type { Demo } from './steps.ts';

// What a person types to see each step again, slowly.

type Line = { readonly about: string; readonly commands: readonly string[] };

/** The commands of all steps, in order. */
export function replayLines(demo: Demo, damage: Damage): Line[] {
  const { one, two, hasOwner } = demo;
  const copy = `${one}/checkout`;
  const list = one.replace(/one$/, 'source.list');
  const staging = basename(damage.staging);
  const octal = damage.after.toString(8).padStart(3, '0');
  return [
    { about: 'start anew', commands: [`rm -rf ${one} ${two}; mkdir -p ${one} ${two}`] },
    { about: 'copy to both; Ctrl-C is as good as a kill', commands: [baton(demo.copyWords())] },
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
    { about: 'continue', commands: [baton(demo.copyWords())] },
    {
      about: 'compare: content, then everything else',
      commands: [
        shown(diffWords(copy)),
        `${shown(findWords(hasOwner))} | sort >${list}`,
        `(cd ${copy} && ${shown(findWords(hasOwner))}) | sort | diff ${list} - && echo identical`,
      ],
    },
    {
      about: 'more: the plan without the copy, the events, what an abandoned copy left',
      commands: [
        `./baton copy --dry-run . ${one} --as again --exclude /.git --exclude /.demo`,
        `./baton copy --json docs ${one} | head -n 3`,
        `./baton copy clean ${one} --dry-run`,
      ],
    },
  ];
}

/** The same as a page to keep. */
export function replayPage(lines: readonly Line[], root: string): string {
  const steps = lines.map(({ about, commands }) => `# ${about}\n${commands.join('\n')}\n`);
  return `# The demo, step by step\n\nIn ${root}:\n\n\`\`\`sh\n${steps.join('\n')}\`\`\`\n`;
}

function baton(words: readonly string[]): string {
  return `./baton ${shown(words)}`;
}
