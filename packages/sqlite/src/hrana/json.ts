import { BatonError } from '@batondb/core/errors';
import { asFields, type Fields } from './fields.ts';

/** A whole message as the object that it must be. Throws PROTOCOL. */
export function parseMessage(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BatonError('PROTOCOL', `the message is no JSON: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  return asFields(value, undefined);
}
