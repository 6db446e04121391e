import { toErrorRecord } from '@batondb/core/errors';

/** What a check has looked at. `error`: a transfer fails so. `warning`: it works until something happens. */
export type CheckFinding = {
  readonly severity: 'ok' | 'warning' | 'error';
  /** The thing it is about, such as `key`. */
  readonly subject: string;
  /** A sentence. */
  readonly text: string;
  /** There unless it is in order. */
  readonly nextStep?: string;
};

export function ok(subject: string, text: string): CheckFinding {
  return { severity: 'ok', subject, text };
}

export function warning(subject: string, text: string, nextStep: string): CheckFinding {
  return { severity: 'warning', subject, text, nextStep };
}

export function problem(subject: string, text: string, nextStep: string): CheckFinding {
  return { severity: 'error', subject, text, nextStep };
}

/** A check that could not be made, or has found what it throws: an error of the world as a finding. Others are thrown again. */
export function findingOf(subject: string, error: unknown): CheckFinding {
  const { code, message, hint } = toErrorRecord(error);
  if (code === 'BUG' || code === 'INTERRUPTED') throw error;
  return problem(subject, message, hint ?? 'mend it, and run the check again');
}
