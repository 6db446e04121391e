import { readFileSync } from 'node:fs';
import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { useCertificates } from './certificates/use.ts';
import type { TransferContext } from './context.ts';
import { type Call, parseCall } from './contract/call.ts';
import { parseStandardInput } from './contract/credentials.ts';
import { errnoOf } from './contract/exit-codes.ts';
import { donate } from './donor/donor.ts';
import { join } from './joiner/joiner.ts';
import { Leftovers } from './leftovers.ts';
import { pause } from './pause.ts';
import { ServerLog } from './report/log.ts';
import { Progress } from './report/progress.ts';
import { StatusFile } from './report/status-file.ts';
import { sayToServer } from './server-output.ts';
import { watchServer } from './server-watch.ts';
import { readSettings } from './settings/settings.ts';
import { findKey } from './transfer-key.ts';

/** Proxies and health checks look for processes of this name: proc_pid_comm(5) has its first 15 bytes, which is all of it. */
const processTitle = 'wsrep_sst_baton';
/** What holds secrets: no child inherits it (G10). */
const secretVariables = ['WSREP_SST_OPT_AUTH', 'WSREP_SST_OPT_REMOTE_AUTH'] as const;
/** The donor's process ends as soon as it hears of our failure; longer is waited only where it cannot hear of it. */
const serverEndsMsMax = 10_000;
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * A transfer, as a Galera server asks for it: `argv` without the program's name. Resolves to the exit code, an errno whose words are true of the cause; everything else
 * is in the error log by then. Never rejects.
 */
export async function runSst(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  process.title = [processTitle, ...argv].join(' ');
  const write = (line: string): void => void process.stderr.write(`${line}\n`);
  let log = new ServerLog('documented', argv.includes('joiner') ? 'joiner' : 'donor', write);
  try {
    const call = readCall(argv, environment);
    log = new ServerLog(call.dialect, call.role, write);
    for (const name of secretVariables) delete environment[name];
    return await transfer(call, log);
  } catch (error) {
    return tell(error, log);
  }
}

/** Returns the exit code. */
function tell(error: unknown, log: ServerLog): number {
  const failure = error instanceof BatonError ? error : fromErrorRecord(toErrorRecord(error));
  log.fail(failure);
  return errnoOf(failure);
}

function readCall(argv: readonly string[], environment: NodeJS.ProcessEnv): Call {
  const call = parseCall(argv, environment);
  if (call.dialect !== 'pxc' || call.role !== 'donor') return call;
  const { credentials, remote } = parseStandardInput(readFileSync(0, 'utf8'));
  return { ...call, credentials: credentials ?? call.credentials, remote: remote ?? call.remote };
}

async function transfer(call: Call, log: ServerLog): Promise<number> {
  const ended = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => ended.abort(new BatonError('INTERRUPTED', `ended by ${name}`));
  for (const name of signals) process.once(name, onSignal);
  using _watch = watchServer(call.parentPid, ended);
  using leftovers = new Leftovers();
  using status = new StatusFile(call.dataDirectory, call.role, leftovers);
  using progress = new Progress(log, status);
  const { signal } = ended;
  const { settings, demand, server, findings } = await readSettings(call, signal);
  for (const { subject, text, hint } of findings)
    log.warn(`${subject}: ${text}${hint === undefined ? '' : `; ${hint}`}`);
  const certified = await useCertificates(demand, call);
  const key = findKey(call, settings, server, certified);
  let hasSpoken = false;
  const say = (line: string): void => {
    sayToServer(line);
    hasSpoken = true;
  };
  const context: TransferContext = { call, settings, server, key, certified, log, progress, status, leftovers, say };
  try {
    await (call.role === 'donor' ? donate(context, signal) : join(context, signal));
    return 0;
  } catch (error) {
    const code = tell(error, log);
    if (call.role === 'joiner' && hasSpoken) await untilServerEnds(signal);
    return code;
  }
}

/**
 * Waits until the joiner's server has ended since the donor's has failed, as that is told to the whole group. A server that hears of it from the group and
 * from us at the same moment leaves the group twice at once, and may hang for ever in it (seen with galera-4 26.4.23).
 */
async function untilServerEnds(signal: AbortSignal): Promise<void> {
  await pause(serverEndsMsMax, signal).catch(() => undefined);
}
