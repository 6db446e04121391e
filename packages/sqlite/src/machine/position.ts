import { BatonError } from '@batondb/core/errors';
import type { Epoch, LogIndex } from '../log/log.ts';

/** Where a state is: everything through the log's entry `index`, which was written under `epoch`. */
export type Position = { readonly epoch: Epoch; readonly index: LogIndex };

/** A position as clients carry it: `3.42` is entry 42, of epoch 3. */
export function formatPosition({ epoch, index }: Position): string {
  return `${epoch}.${index}`;
}

/** Reads what `formatPosition` wrote. Throws USAGE. */
export function parsePosition(text: string): Position {
  const [, epoch, index] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  if (epoch === undefined || index === undefined) {
    throw new BatonError('USAGE', `not a position: ${text.slice(0, 40)}`, { hint: 'a position looks like 3.42' });
  }
  return { epoch: Number(epoch), index: Number(index) };
}
