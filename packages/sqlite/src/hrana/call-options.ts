import { BatonError } from '@batondb/core/errors';
import type { CallOptions } from '../databases.ts';
import { type Fields, type Place, readOptionalText } from './fields.ts';
import { limits } from './limits.ts';

// What a request may say beyond Hrana, in fields that other servers ignore: `transaction_key` and `at_least`. Over HTTP there are headers
// for them, too, since users of a stock client can add headers but no fields.

const keyPattern = /^[\x21-\x7e]+$/;

/** The options of a request. What it does not say itself is as `otherwise` says. Throws PROTOCOL. */
export function decodeCallOptions(fields: Fields, place: Place | undefined, otherwise: CallOptions = {}): CallOptions {
  const key = readOptionalText(fields, 'transaction_key', place, limits.transactionKeyCharactersMax);
  const atLeast = readOptionalText(fields, 'at_least', place, limits.positionCharactersMax);
  return {
    ...otherwise,
    ...(key === undefined ? {} : { transactionKey: checkTransactionKey(key) }),
    ...(atLeast === undefined ? {} : { atLeast }),
  };
}

/** A key that a client named a transaction with. Throws PROTOCOL for what no key can be. */
export function checkTransactionKey(key: string): string {
  if (key.length > limits.transactionKeyCharactersMax || !keyPattern.test(key)) {
    throw new BatonError(
      'PROTOCOL',
      `a transaction's key has 1 to ${limits.transactionKeyCharactersMax} printable characters of ASCII`,
    );
  }
  return key;
}
