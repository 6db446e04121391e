import { formatBytes, formatCount, formatDuration } from '@batondb/core/text/format';
import { fetchSyncStatus, type Order, orderSync, parseOperations } from '@batondb/sync/operations/client';
import type { SyncStatus, TableProgress } from '@batondb/sync/status';
import { exitCodes } from '../exit-codes.ts';
import { jsonLine } from '../render/json.ts';
import { pad, printableValue, widthOf } from '../render/style.ts';
import { readAccess } from '../service/access.ts';
import type { CommandContext } from '../service/context.ts';
import type { StatusFlags } from './status-command.ts';

// What `status`, `pause`, `resume` and `resync` print.

export async function runStatus(url: string, flags: StatusFlags, context: CommandContext): Promise<number> {
  const access = readAccess(flags, context.environment);
  const status = await fetchSyncStatus(parseOperations(url), access, context.watchInterruption().signal);
  await show(status, flags, context);
  return exitCodes.ok;
}

export async function runOrder(
  order: Order,
  url: string,
  flags: StatusFlags,
  context: CommandContext,
): Promise<number> {
  const access = readAccess(flags, context.environment);
  const status = await orderSync(parseOperations(url), order, access, context.watchInterruption().signal);
  if (flags.json) await show(status, flags, context);
  else await context.stdout.writeLines([orderLine(order, status)]);
  return exitCodes.ok;
}

async function show(status: SyncStatus, { json }: StatusFlags, { stdout }: CommandContext): Promise<void> {
  const nowMs = Date.now();
  await stdout.writeLines(json ? [jsonLine({ type: 'status', ...status }, nowMs)] : statusLines(status, nowMs));
}

function orderLine(order: Order, { name, phase }: SyncStatus): string {
  if (order.kind === 'resync') return `${name}: ${order.table} is read anew; baton sync status shows how far it is`;
  return `${name}: ${phase}`;
}

/** A status for people. Pure. */
export function statusLines(told: SyncStatus, nowMs: number): string[] {
  const status = printableValue(told);
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['sync', status.name],
    ['from', `${status.source}${status.node === undefined ? '' : ` (at ${status.node})`}`],
    ['to', status.sink],
    ['phase', phaseText(status, nowMs)],
    ['position', positionText(status, nowMs)],
    ['lag', lagText(status)],
    ['slot', slotText(status)],
    ['rate', rateText(status)],
    ['followed', countText(status)],
    ['tables', tableText(status.tables)],
    ['kept aside', optional(status.counts.recordedRows, (rows) => formatCount(rows, 'row'))],
    ['repaired', optional(status.counts.repairedKeys, (keys) => `${formatCount(keys, 'key')} after a failover`)],
    [
      'divergence',
      status.lastDivergence && `${ago(status.lastDivergence.atMs, nowMs)}: ${status.lastDivergence.reason}`,
    ],
    ['problem', status.lastError && `${ago(status.lastError.atMs, nowMs)}: ${status.lastError.message}`],
    ['hint', status.lastError?.hint],
  ];
  const shown = entries.flatMap(([name, value]) => (value === undefined ? [] : [`${pad(name, labelWidth)}${value}`]));
  return [...shown, ...status.tables.filter(({ state }) => state !== 'current').map(tableLine)];
}

const labelWidth = 12;

function phaseText({ phase, phaseAtMs, owner, retryAtMs }: SyncStatus, nowMs: number): string {
  const more = [
    `for ${formatDuration(nowMs - phaseAtMs)}`,
    ...(owner === undefined ? [] : [`the sink is owned by ${owner}`]),
    ...(phase === 'retrying' && retryAtMs !== undefined
      ? [`tried again in ${formatDuration(Math.max(0, retryAtMs - nowMs))}`]
      : []),
  ];
  return `${phase}, ${more.join(', ')}`;
}

function positionText({ position, committedAtMs, isOpen }: SyncStatus, nowMs: number): string {
  if (position === undefined) return 'none yet';
  const age = committedAtMs === undefined ? '' : `, committed ${ago(committedAtMs, nowMs)}`;
  return `${position}${age}${isOpen ? '; readers see what was before' : ''}`;
}

function lagText({ lagSeconds, lagBytes }: SyncStatus): string | undefined {
  const parts = [
    ...(lagSeconds === undefined ? [] : [formatDuration(lagSeconds * 1000)]),
    ...(lagBytes === undefined ? [] : [`${formatBytes(lagBytes)} of log`]),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}

function slotText({ retainedBytes, remainingBytes }: SyncStatus): string | undefined {
  if (retainedBytes === undefined) return undefined;
  const left =
    remainingBytes === undefined ? 'without a bound' : `${formatBytes(remainingBytes)} left until it is lost`;
  return `${formatBytes(retainedBytes)} of log kept, ${left}`;
}

function rateText({ rowsPerSecond, transactionsPerSecond }: SyncStatus): string {
  return `${integer(rowsPerSecond)} rows/s, ${integer(transactionsPerSecond)} transactions/s`;
}

function countText({ counts, startedAtMs }: SyncStatus): string {
  const { transactions, inserts, updates, deletes } = counts;
  const what = `${integer(inserts)} inserts, ${integer(updates)} updates, ${integer(deletes)} deletes`;
  return `${formatCount(transactions, 'transaction')} since ${new Date(startedAtMs).toISOString()}: ${what}`;
}

function tableText(tables: readonly TableProgress[]): string {
  const states = ['waiting', 'dumping', 'resyncing'] as const;
  const counted = states.flatMap((state) => {
    const count = tables.filter((table) => table.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return [formatCount(tables.length, 'table'), ...counted].join(', ');
}

function tableLine({ table, state, rows, estimatedRows }: TableProgress): string {
  const of = estimatedRows === undefined ? '' : ` of about ${integer(estimatedRows)}`;
  const width = Math.max(30, widthOf(table) + 1);
  return `  ${pad(table, width)}${state === 'waiting' ? state : `${state}, ${integer(rows)}${of} rows`}`;
}

function optional(count: number, format: (count: number) => string): string | undefined {
  return count === 0 ? undefined : format(count);
}

function ago(atMs: number, nowMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - atMs))} ago`;
}

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
