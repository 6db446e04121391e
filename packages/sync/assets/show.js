const optional = (value, format) => (value === undefined ? undefined : format(value));
const ago = (atMs) => `${duration(Date.now() - atMs)} ago`;

function problemOf({ lastError, lastDivergence, retryAtMs }) {
  if (lastError !== undefined) {
    const again = retryAtMs === undefined ? '' : `; tried again in ${duration(Math.max(0, retryAtMs - Date.now()))}`;
    return `${lastError.message}${again}`;
  }
  return lastDivergence && `A failover lost what the sink had, ${ago(lastDivergence.atMs)}: ${lastDivergence.reason}`;
}

function progressOf({ state, rows, estimatedRows }) {
  if (state === 'current') return '';
  if (!estimatedRows) return integer(rows);
  return `${integer(rows)} of about ${integer(estimatedRows)}`;
}

function show(status) {
  const { counts, phase, phaseAtMs } = status;
  const problem = problemOf(status);
  byId('where').textContent = `${status.name} · ${status.source} → ${status.sink}`;
  byId('problem').hidden = problem === undefined;
  byId('problem').textContent = problem ?? '';
  facts(byId('facts'), [
    ['Position', status.position ?? 'none yet'],
    ['Lag', optional(status.lagSeconds, (seconds) => duration(seconds * 1000))],
    ['Lag in log', optional(status.lagBytes, bytes)],
    ['Transactions', `${integer(Math.round(status.transactionsPerSecond))} /s`],
    ['Rows', `${integer(Math.round(status.rowsPerSecond))} /s`],
    ['Log kept for us', optional(status.retainedBytes, bytes)],
    ['Left until it is cut', optional(status.remainingBytes, bytes)],
    ['Readers see', status.isOpen ? 'what was before' : 'this position'],
    ['Node', status.node],
    ['Owner', status.owner],
    ['Up for', duration(Date.now() - status.startedAtMs)],
  ]);
  facts(byId('counts'), [
    ['Transactions', integer(counts.transactions)],
    ['Inserts', integer(counts.inserts)],
    ['Updates', integer(counts.updates)],
    ['Deletes', integer(counts.deletes)],
    ['Rows dumped', integer(counts.dumpedRows)],
    ['Rows read anew', integer(counts.resyncedRows)],
    ['Retries', integer(counts.retries)],
    ['Rows kept aside', integer(counts.recordedRows), counts.recordedRows > 0 ? 'bad' : ''],
    ['Keys repaired', integer(counts.repairedKeys)],
  ]);
  table(
    byId('tables'),
    [
      ['Table', (row) => row.table],
      ['State', (row) => row.state],
      ['Rows read', progressOf, true],
    ],
    status.tables,
  );
  return [`${phase} for ${duration(Date.now() - phaseAtMs)}`, phase === 'streaming' || phase === 'dumping'];
}
