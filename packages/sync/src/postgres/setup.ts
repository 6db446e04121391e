import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type { PostgresAddress } from './address.ts';
import { endClient, findPrimary, runSimple } from './connect.ts';
import { isSqlState } from './failures.ts';
import type { PasswordFor } from './passwords.ts';
import { readFacts, type ServerFacts } from './server-facts.ts';
import { planDrop, planSetup, type SetupPlan, type SetupWish, type Statement } from './setup-plan.ts';

// Publication and slot: made and removed only here, and only when a person asks (Y8).

export type SetupPlace = { readonly address: PostgresAddress; readonly passwordFor: PasswordFor };

/** What would be done. Changes nothing. Throws what {@link planSetup} does. */
export async function prepareSetup(place: SetupPlace, wish: SetupWish, signal: AbortSignal): Promise<SetupPlan> {
  return await withFacts(place, wish, signal, async (_client, facts) => planSetup(facts, wish));
}

/** Does it; `onStatement` is told before each. A slot waits for transactions that are open. */
export async function setUp(
  place: SetupPlace,
  wish: SetupWish,
  onStatement: (statement: Statement) => void,
  signal: AbortSignal,
): Promise<SetupPlan> {
  return await withFacts(place, wish, signal, async (client, facts, node) => {
    const plan = planSetup(facts, wish);
    await runAll(client, plan.statements, node, onStatement);
    return plan;
  });
}

/** What would be removed. Changes nothing. */
export async function prepareTearDown(
  place: SetupPlace,
  wish: Pick<SetupWish, 'slot' | 'publication'>,
  signal: AbortSignal,
): Promise<readonly Statement[]> {
  return await withFacts(place, wish, signal, async (_client, facts) => planDrop(facts, wish));
}

/** Removes both. Throws IN_USE while somebody reads the slot. */
export async function tearDown(
  place: SetupPlace,
  wish: Pick<SetupWish, 'slot' | 'publication'>,
  onStatement: (statement: Statement) => void,
  signal: AbortSignal,
): Promise<readonly Statement[]> {
  return await withFacts(place, wish, signal, async (client, facts, node) => {
    const statements = planDrop(facts, wish);
    await runAll(client, statements, node, onStatement).catch((error: unknown) => {
      if (!isSqlState(error, '55006')) throw error;
      throw new BatonError(
        'IN_USE',
        `${node}: the slot "${wish.slot}" is read by process ${facts.slot?.activePid ?? '?'}`,
        {
          hint: 'stop the sync that reads it first',
          cause: error,
        },
      );
    });
    return statements;
  });
}

async function runAll(
  client: pg.Client,
  statements: readonly Statement[],
  node: string,
  onStatement: (statement: Statement) => void,
): Promise<void> {
  for (const statement of statements) {
    onStatement(statement);
    await runSimple(client, statement.sql, node);
  }
}

async function withFacts<T>(
  { address, passwordFor }: SetupPlace,
  { slot, publication }: Pick<SetupWish, 'slot' | 'publication'>,
  signal: AbortSignal,
  use: (client: pg.Client, facts: ServerFacts, node: string) => Promise<T>,
): Promise<T> {
  const node = await findPrimary(address, passwordFor, signal);
  const client = await node.connect({ statementMs: 0 });
  const stop = (): void => void endClient(client);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { serverVersion, name } = node;
    return await use(
      client,
      await readFacts(client, { slot, publications: [publication], node: name, serverVersion }),
      name,
    );
  } finally {
    signal.removeEventListener('abort', stop);
    await endClient(client);
  }
}
