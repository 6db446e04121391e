let previous;

/** Entries a second since the last look, when there was one of the same server. */
function rate(status) {
  const index = Number(status.position.split('.')[1]);
  const now = { index, atMs: performance.now(), startedMs: status.server.startedMs };
  const before = previous;
  previous = now;
  if (before === undefined || before.startedMs !== now.startedMs) return undefined;
  return `${integer(Math.round(((now.index - before.index) * 1000) / (now.atMs - before.atMs)))} /s`;
}

function show(status) {
  const { server } = status;
  byId('where').textContent = [status.role, server.listen].filter(Boolean).join(' · ');
  byId('problem').hidden = status.failure === undefined;
  byId('problem').textContent = status.failure ?? '';
  facts(byId('facts'), [
    ['Position', status.position],
    ['Log entries', rate(status) ?? '…'],
    ['In the files through', status.checkpoint],
    ['Log on disk', bytes(status.logBytes)],
    ['Leader', status.leader?.url],
    [
      'Behind the leader',
      status.leader && `${integer(status.leader.entriesBehind ?? 0)} entries, ${duration(status.leader.lagMs ?? 0)}`,
    ],
    ['Connections', integer(server.connections)],
    ['Open streams', integer(server.streams)],
    ['Up for', duration(Date.now() - server.startedMs)],
  ]);
  table(
    byId('databases'),
    [
      ['Name', (row) => row.name],
      ['Size', (row) => bytes(row.pageCount * row.pageBytes), true],
      ['Pages', (row) => integer(row.pageCount), true],
      ['Page size', (row) => bytes(row.pageBytes), true],
      ['Transactions', (row) => integer(row.sequence), true],
      ['Checksum', (row) => row.checksum],
    ],
    status.databases,
  );
  byId('replication').hidden = status.followers === undefined;
  table(
    byId('replicas'),
    [
      ['Address', (row) => row.address],
      ['Position', (row) => row.position],
      ['Entries behind', (row) => integer(row.entriesBehind), true],
      ['Lag', (row) => duration(row.lagMs), true],
      ['State', (row) => row.state],
    ],
    status.followers ?? [],
  );
  byId('saving').hidden = status.backups === undefined;
  if (status.backups !== undefined) {
    const { directory, last, failure } = status.backups;
    facts(byId('backups'), [
      ['Into', directory],
      ['Last', last && `${last.name} (${duration(Date.now() - last.atMs)} ago)`],
      ['Position', last?.position],
      ['Problem', failure, 'bad'],
    ]);
  }
  return status.failure === undefined ? ['serving', true] : ['not writing', false];
}
