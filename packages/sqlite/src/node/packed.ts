import type { BatchEvent, StepOutcome } from '../databases.ts';
import type { SqlError } from '../engine/sql-error.ts';
import { packError, unpackError } from './error-transfer.ts';
import type { PackedEvent, PackedOutcome } from './request.ts';

// Outcomes and events between threads.

export function packOutcomes(outcomes: readonly StepOutcome[]): PackedOutcome[] {
  return outcomes.map((outcome) =>
    outcome.type === 'failed' ? { ...outcome, error: packError(outcome.error) } : outcome,
  );
}

export function unpackOutcomes(packed: readonly PackedOutcome[]): StepOutcome[] {
  return packed.map((outcome) =>
    outcome.type === 'failed' ? { ...outcome, error: unpackError(outcome.error) as SqlError } : outcome,
  );
}

export function packEvents(events: readonly BatchEvent[]): PackedEvent[] {
  return events.map((event) => (event.type === 'failed' ? { ...event, error: packError(event.error) } : event));
}

export function unpackEvents(packed: readonly PackedEvent[]): BatchEvent[] {
  return packed.map((event) =>
    event.type === 'failed' ? { ...event, error: unpackError(event.error) as SqlError } : event,
  );
}
