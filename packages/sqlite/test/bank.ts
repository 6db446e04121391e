// A bank: money moves between accounts and is never made or lost. Every transfer is in a ledger, so that what should be where can be
// computed again.
import assert from 'node:assert/strict';
import type { Random } from '@batondb/testbed/random';
import type { SqlStatement } from '../src/index.ts';

export const accounts = 20;
export const balance = 1000;

/** Statements that open the bank. */
export const openBank: readonly SqlStatement[] = [
  { sql: 'CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)' },
  { sql: 'CREATE TABLE ledger (id INTEGER PRIMARY KEY, payer INTEGER, payee INTEGER, amount INTEGER, note TEXT)' },
  { sql: 'CREATE INDEX ledger_payer ON ledger (payer, amount)' },
  ...Array.from({ length: accounts }, (_, id) => ({ sql: 'INSERT INTO account VALUES (?, ?)', args: [id, balance] })),
];

/** Statements of the transfer with a number. Long notes make transactions of many pages. */
export function transfer(id: number, random: Random): SqlStatement[] {
  const payer = random.integer(0, accounts - 1);
  const payee = random.integer(0, accounts - 1);
  const amount = random.integer(1, 50);
  const note = 'x'.repeat(random.pick([0, 10, 10, 10, 500, 5000, 60_000]));
  return [
    { sql: 'UPDATE account SET balance = balance - ? WHERE id = ?', args: [amount, payer] },
    { sql: 'UPDATE account SET balance = balance + ? WHERE id = ?', args: [amount, payee] },
    { sql: 'INSERT INTO ledger VALUES (?, ?, ?, ?, ?)', args: [id, payer, payee, amount, note] },
  ];
}

/** What is asked to judge a bank. */
export const audit = {
  ledger: 'SELECT id, payer, payee, amount FROM ledger ORDER BY id',
  accounts: 'SELECT id, balance FROM account ORDER BY id',
  integrity: 'PRAGMA integrity_check',
} as const;

type Rows = readonly (readonly unknown[])[];

/** Fails unless accounts are what the ledger says, all acknowledged transfers are in it, and the total is what it was. Returns the ledger's ids. */
export function judge(ledger: Rows, found: Rows, integrity: Rows, acknowledged: Iterable<number>): Set<number> {
  assert.deepEqual(integrity, [['ok']]);
  const expected = Array.from({ length: accounts }, () => balance);
  for (const [, payer, payee, amount] of ledger as readonly (readonly number[])[]) {
    expected[payer!]! -= amount!;
    expected[payee!]! += amount!;
  }
  assert.deepEqual(
    found,
    expected.map((sum, id) => [id, sum]),
    'accounts are what the ledger says',
  );
  const ids = new Set(ledger.map(([id]) => id as number));
  const missing = [...acknowledged].filter((id) => !ids.has(id));
  assert.deepEqual(missing, [], 'acknowledged transfers that are not there');
  return ids;
}
