// Keeps an account book in a directory by the library, serves it to libSQL clients, and prints what happens.
//
//   node docs/examples/sqlite.ts DIRECTORY
import { BatonError } from '@batondb/core/errors';
import { formatPosition, openNode, SqlError, type SqliteNode, startServer } from '@batondb/sqlite';

async function prepare(node: SqliteNode): Promise<void> {
  await node.batch([
    { sql: 'CREATE TABLE IF NOT EXISTS accounts (owner TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0))' },
    { sql: "INSERT OR IGNORE INTO accounts VALUES ('Emma', 100), ('Anne', 100)" },
  ]);
}

/** Returns false when the payer has not so much. */
async function pay(node: SqliteNode, payer: string, payee: string, amount: number): Promise<boolean> {
  await using transaction = await node.transaction();
  try {
    await transaction.execute('UPDATE accounts SET balance = balance - ? WHERE owner = ?', [amount, payer]);
    await transaction.execute('UPDATE accounts SET balance = balance + ? WHERE owner = ?', [amount, payee]);
    await transaction.commit();
    return true;
  } catch (error) {
    if (error instanceof SqlError && error.sqliteExtendedCode === 'SQLITE_CONSTRAINT_CHECK') return false;
    throw error;
  }
}

async function run(directory: string): Promise<void> {
  await using node = await openNode({ directory });
  await prepare(node);
  console.log(`Emma pays: ${await pay(node, 'Emma', 'Anne', 30)}, and again: ${await pay(node, 'Emma', 'Anne', 300)}`);

  // With a key, what is sent twice is done once.
  const gift = "UPDATE accounts SET balance = balance + 5 WHERE owner = 'Emma'";
  const first = await node.execute(gift, [], { key: 'gift-1' });
  const second = await node.execute(gift, [], { key: 'gift-1' });
  const receipt = await node.receipt('gift-1');
  console.log(`gift: repeated ${first.isRepeated}, then ${second.isRepeated}; its receipt says ${receipt.state}`);

  const { rows, position } = await node.query('SELECT owner, balance FROM accounts ORDER BY owner', [], {
    atLeast: first.position,
  });
  console.log(`at ${formatPosition(position)}: ${rows.map((row) => row.join(' has ')).join(', ')}`);

  await using server = await startServer(node.clients(), { listen: '127.0.0.1:0', onFault: console.error });
  console.log(`any libSQL client reaches it at ${server.url}, until this program ends`);
}

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: sqlite.ts DIRECTORY');
  process.exit(2);
}
try {
  await run(directory);
} catch (error) {
  if (!(error instanceof BatonError)) throw error;
  console.error(`${error.code}: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`);
  process.exitCode = 1;
}
