// Events to render and to judge, with what a test does not care for filled in.
import type {
  CopySummary,
  Finding,
  PlanSummary,
  SourceChange,
  TargetPhase,
  TargetProgress,
  TargetResult,
} from '@batondb/copy/events';
import type { ErrorCode } from '@batondb/core/errors';

const MiB = 1024 * 1024;

export const plan: PlanSummary = {
  source: 'db1:/srv/data',
  targets: [
    { name: 'db2:/srv', finalPath: 'db2:/srv/data', resumedBytes: 0 },
    { name: 'backup:/b', finalPath: 'backup:/b/data', resumedBytes: 300 * MiB },
  ],
  hops: [
    { from: 'db1', to: 'db2', address: '10.0.0.2', port: 4400 },
    { from: 'db2', to: 'backup', address: '2001:db8::3', port: 4401 },
  ],
  entries: 20_101,
  files: 20_000,
  contentBytes: 2048 * MiB,
  units: 2_060,
  manifestDigest: 'a1'.repeat(32),
  isStream: false,
};

export function finding(code: ErrorCode, host = 'db2', message: string = code, hint?: string): Finding {
  return {
    severity: 'error',
    host,
    error: { code, message, retryable: false, ...(hint === undefined ? {} : { hint }) },
  };
}

export function progress(target: string, phase: TargetPhase, part: number, etaSeconds?: number): TargetProgress {
  return {
    target,
    phase,
    doneBytes: Math.round(2048 * MiB * part),
    totalBytes: 2048 * MiB,
    doneFiles: Math.round(20_000 * part),
    totalFiles: 20_000,
    rateBytesPerSecond: phase === 'receiving' ? 210 * MiB : 0,
    etaSeconds,
  };
}

export function doneResult(target: string, changes: Partial<TargetResult> = {}): TargetResult {
  return {
    target,
    finalPath: `${target}/data`,
    state: 'done',
    contentBytes: 2048 * MiB,
    resumedBytes: 0,
    wireBytes: 1024 * MiB,
    durationMs: 10_000,
    treeDigest: 'b2'.repeat(32),
    ...changes,
  };
}

export function failedResult(target: string, code: ErrorCode, message: string = code, hint?: string): TargetResult {
  const error = { code, message, retryable: true, ...(hint === undefined ? {} : { hint }) };
  return {
    target,
    finalPath: `${target}/data`,
    state: 'failed',
    error,
    contentBytes: 2048 * MiB,
    resumedBytes: 0,
    wireBytes: 0,
    durationMs: 5_000,
  };
}

export function changeOf(path: string): SourceChange {
  return { path, what: 'changed' };
}

export function summaryOf(changes: Partial<CopySummary> = {}): CopySummary {
  return {
    source: 'db1:/srv/data',
    manifestDigest: 'a1'.repeat(32),
    entries: 20_101,
    files: 20_000,
    contentBytes: 2048 * MiB,
    wireBytes: 1024 * MiB,
    durationMs: 10_400,
    targets: [doneResult('db2:/srv')],
    changes: [],
    changesTotal: 0,
    skippedSockets: 0,
    ...changes,
  };
}
