import type { Condition } from '../databases.ts';
import { at, type Fields, type Place, readFields, readList, readUint32, tooLarge, wrong } from './fields.ts';
import { limits } from './limits.ts';

// When a step of a batch runs: Hrana 3, "Conditions".

/** What a condition asks of the batch so far. */
export type BatchSoFar = {
  /** How the steps before this one ended, by number. */
  readonly outcomes: readonly { readonly type: 'done' | 'failed' | 'skipped' }[];
  /** Whether no explicit transaction is open now. */
  readonly isAutocommit: boolean;
};

/** Whether a step is to run. A step that was skipped was neither successful nor did it fail. */
export function holds(condition: Condition | undefined, soFar: BatchSoFar): boolean {
  if (condition === undefined) return true;
  switch (condition.type) {
    case 'ok':
      return soFar.outcomes[condition.step]?.type === 'done';
    case 'error':
      return soFar.outcomes[condition.step]?.type === 'failed';
    case 'not':
      return !holds(condition.condition, soFar);
    case 'and':
      return condition.conditions.every((inner) => holds(inner, soFar));
    case 'or':
      return condition.conditions.some((inner) => holds(inner, soFar));
    case 'is_autocommit':
      return soFar.isAutocommit;
    default:
      return condition satisfies never;
  }
}

/** The condition of step number `step`. It may speak only of steps before its own. */
export function decodeCondition(fields: Fields, place: Place, step: number): Condition {
  let count = 0;
  const decode = (inner: Fields, innerPlace: Place, depth: number): Condition => {
    count += 1;
    if (count > limits.conditionsMax) throw tooLarge(place, 'conditions', count, limits.conditionsMax);
    if (depth > limits.conditionDepthMax)
      throw tooLarge(place, 'conditions within conditions', depth, limits.conditionDepthMax);
    const type = inner['type'];
    switch (type) {
      case 'ok':
      case 'error':
        return { type, step: readEarlierStep(inner, innerPlace, step) };
      case 'not':
        return { type, condition: decode(readFields(inner, 'cond', innerPlace), at(innerPlace, 'cond'), depth + 1) };
      case 'and':
      case 'or': {
        const read = (member: Fields, memberPlace: Place): Condition => decode(member, memberPlace, depth + 1);
        return { type, conditions: readList(inner, 'conds', innerPlace, limits.conditionsMax, read) };
      }
      case 'is_autocommit':
        return { type };
      default:
        throw wrong(at(innerPlace, 'type'), 'ok, error, not, and, or or is_autocommit');
    }
  };
  return decode(fields, place, 1);
}

function readEarlierStep(fields: Fields, place: Place, step: number): number {
  const earlier = readUint32(fields, 'step', place);
  if (earlier >= step) throw wrong(at(place, 'step'), `the number of a step before this one, which is ${step}`);
  return earlier;
}
