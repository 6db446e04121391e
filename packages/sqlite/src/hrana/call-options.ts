import { BatonError } from '@batondb/core/errors';
import type { CallOptions } from '../databases.ts';
import { type Fields, type Place, readOptionalText } from './fields.ts';
import { limits } from './limits.ts';

// What a request may say beyond Hrana, in fields that other servers ignore: `transaction_key`, `at_least` and `level`. Over HTTP there are headers
// for them, too, since users of a stock client can add headers but no fields.

const keyPattern = /^[\x21-\x7e]+$/;

/** The options of a request. What it does not say itself is as `otherwise` says. Throws PROTOCOL. */
export function decodeCallOptions(fields: Fields, place: Place | undefined, otherwise: CallOptions = {}): CallOptions {
  const key = readOptionalText(fields, 'transaction_key', place, limits.transactionKeyCharactersMax);
  const atLeast = readOptionalText(fields, 'at_least', place, limits.positionCharactersMax);
  const level = readOptionalText(fields, 'level', place, limits.levelCharactersMax);
  return {
    ...otherwise,
    ...(key === undefined ? {} : { transactionKey: checkTransactionKey(key) }),
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(level === undefined ? {} : { level: checkLevel(level) }),
  };
}

/** Where a client wants a call to be done. Throws PROTOCOL. */
export function checkLevel(level: string): 'leader' {
  if (level === 'leader') return level;
  throw new BatonError('PROTOCOL', `there is no level ${JSON.stringify(level.slice(0, 20))}`, {
    hint: 'the level is leader, or nothing is said',
  });
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
