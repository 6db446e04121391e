// The interpreter of transcripts/*.txt: a line says what happens, the lines below `----` what is seen then.
//
//   open                        a node that leads a log with a table and the row 1
//   log STEP…                   what becomes of the next appends: see scripted-log.ts
//   write ID TEXT [key=KEY]     inserts a row in a transaction of its own
//   write-large TEXT [key=KEY]  inserts 300 rows, more than fit into two entries
//   begin S | put S ID TEXT | commit S [key=KEY] | rollback S    a transaction of a session
//   start NAME COMMAND          begins one of those without waiting for the log; `flush` tells how all of them ended
//   lead                        the node takes the lead again
//   table                       the rows, as a reply that waits like any other; many rows with one text are counted
//   published                   where everybody reads
//   receipt KEY                 what is known of a transaction
//   entries                     what the log has
//   restart                     another node begins with what the log has, and takes its place

import { Random } from '@batondb/testbed/random';
import type { LogEntry } from '../src/log/log.ts';
import { decodeCommands } from '../src/machine/command.ts';
import type { ReceiptState } from '../src/node/request.ts';
import type { WriterHost } from '../src/node/writer-host.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, request, smallSettings } from './in-process.ts';
import { openScripted, ScriptedLog, type Step } from './scripted-log.ts';

/** A titled piece of a file: commands, each with what is to be seen. */
export type Scene = {
  readonly title: string;
  readonly steps: readonly { readonly command: string; readonly seen: string }[];
};

const largeRows = 300;
const settings = { ...smallSettings, segmentBytes: 65_536 };

/** Reads a file of scenes, which begin with `== TITLE`. Lines that begin with # are for the reader. */
export function parseScenes(text: string): Scene[] {
  return text
    .split(/^== /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...rest] = part.split('\n');
      const steps = rest
        .join('\n')
        .split(/\n\n+/)
        .map((step) => step.replace(/^#.*\n/gm, '').trim())
        .filter((step) => step !== '' && !step.startsWith('#'))
        .map((step) => {
          const [command = '', seen = ''] = step.split(/\n----\n?/);
          return { command: command.trim(), seen: seen.trim() };
        });
      return { title: title.trim(), steps };
    });
}

/** A node and its scripted log, on which one scene is played. */
export class Stage {
  readonly #log = new ScriptedLog();
  readonly #sessions = new Map<string, number>();
  readonly #started: { readonly name: string; readonly reply: Promise<string> }[] = [];
  #host!: WriterHost;

  static async open(): Promise<Stage> {
    const stage = new Stage();
    stage.#host = await openOn(stage.#log);
    stage.#log.foreign = (index, epoch) => foreignEntries(stage.#log.list, index, epoch);
    await stage.#host.openDatabase('main', 1024);
    await stage.play('write-schema');
    await stage.play('write 1 first');
    return stage;
  }

  /** Does what a line says. Resolves to what is seen. */
  async play(line: string): Promise<string> {
    const [command = '', ...words] = line.split(' ');
    switch (command) {
      case 'log':
        this.#log.script.push(...(words as Step[]));
        return 'ok';
      case 'start':
        this.#started.push({ name: words[0]!, reply: this.#ask(words[1]!, words.slice(2)) });
        return 'ok';
      case 'flush':
        return await this.#flush();
      case 'lead':
        return await outcome(this.#host.machine.lead(new AbortController().signal).then(() => 'ok'));
      case 'table':
        return await this.#table();
      case 'published': {
        const [main] = this.#host.status().databases;
        return `entry ${this.#host.status().position.index}, transaction ${main!.sequence}`;
      }
      case 'receipt':
        return await outcome(
          Promise.resolve(words[0]!).then((key) => describeReceipt(this.#host.executor.receipt(key))),
        );
      case 'entries':
        return this.#log.list.slice(2).map(describeEntry).join('\n');
      case 'restart':
        this.#host.executor[Symbol.dispose]();
        this.#sessions.clear();
        this.#host = await openOn(this.#log);
        return await this.#table();
      default: {
        const reply = this.#ask(command, words);
        await this.#host.machine.flush();
        return await reply;
      }
    }
  }

  async #flush(): Promise<string> {
    await this.#host.machine.flush();
    const lines = this.#started.splice(0).map(async ({ name, reply }) => `${name}: ${await reply}`);
    return (await Promise.all(lines)).join('\n');
  }

  #ask(command: string, words: readonly string[]): Promise<string> {
    const [first = '', second = '', third = ''] = words.filter((word) => !word.startsWith('key='));
    const key = words.find((word) => word.startsWith('key='))?.slice('key='.length);
    const more = key === undefined ? {} : { key };
    const session = ['begin', 'put', 'commit', 'rollback'].includes(command) ? { session: this.#session(first) } : {};
    const run = (sql: string): Promise<string> =>
      outcome(
        this.#host.executor
          .run(request(sql, [], { ...more, ...session }))
          .then(({ isRepeated }) => (isRepeated ? 'ok, was committed before' : 'ok')),
      );
    switch (command) {
      case 'write-schema':
        return run('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)');
      case 'write':
        return run(`INSERT INTO t VALUES (${first}, '${second}')`);
      case 'write-large':
        return run(
          `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${largeRows}) INSERT INTO t SELECT i + 1000, '${first}' || hex(zeroblob(200)) FROM n`,
        );
      case 'read':
        return run('SELECT count(*) FROM t');
      case 'begin':
        return run('BEGIN IMMEDIATE');
      case 'put':
        return run(`INSERT INTO t VALUES (${second}, '${third}')`);
      case 'commit':
        return run('COMMIT');
      case 'rollback':
        return run('ROLLBACK');
      default:
        throw new Error(`a transcript has no command ${command}`);
    }
  }

  #session(name: string): number {
    const session = this.#sessions.get(name) ?? this.#host.executor.openSession('main');
    this.#sessions.set(name, session);
    return session;
  }

  async #table(): Promise<string> {
    const reading = this.#host.executor.run(
      request("SELECT rtrim(v, '0'), count(*) FROM t GROUP BY 1 ORDER BY min(id)"),
    );
    const checking = this.#host.executor.run(request('PRAGMA integrity_check'));
    checking.catch(() => undefined);
    const told = reading.then(async ({ results }) => {
      const rows = results[0]!.rows.map(([text, count]) =>
        count === 1 ? String(text) : `${String(text)} × ${String(count)}`,
      );
      const [[verdict] = []] = (await checking).results[0]!.rows;
      return verdict === 'ok' ? rows.join(', ') : String(verdict);
    });
    const reply = outcome(told);
    await this.#host.machine.flush();
    return await reply;
  }
}

async function openOn(log: ScriptedLog): Promise<WriterHost> {
  const layer = new FaultyLayer(new Random(1));
  return await openHost(layer, { settings, openLog: () => openScripted(log, layer) });
}

/** What another node appends that has applied everything so far and leads for a moment. */
async function foreignEntries(list: readonly LogEntry[], index: number, epoch: number): Promise<LogEntry[]> {
  const log = new ScriptedLog();
  log.list.push(...list);
  const host = await openOn(log);
  const running = host.executor.run(request(`INSERT INTO t VALUES (${index + 500}, 'foreign')`));
  await host.machine.flush();
  await running;
  host.executor[Symbol.dispose]();
  return log.list.slice(index - 1).map((entry) => ({ ...entry, epoch }));
}

async function outcome(reply: Promise<string>): Promise<string> {
  try {
    return await reply;
  } catch (error) {
    const { code, retryable } = error as { readonly code: string; readonly retryable: boolean };
    return retryable ? `${code}, may be tried again` : code;
  }
}

function describeReceipt(receipt: ReceiptState): string {
  return receipt.state === 'committed' ? `committed at entry ${receipt.position.index}` : receipt.state;
}

function describeEntry({ index, payload }: LogEntry): string {
  const commands = decodeCommands(Buffer.from(payload)).map((command) => {
    if (command.kind !== 'frames') return command.kind;
    return command.commit === undefined
      ? 'part'
      : `commit of ${command.commit.ends.map(({ sequence }) => sequence).join(' ')}`;
  });
  return `${index}: ${commands.join(', ')}`;
}
