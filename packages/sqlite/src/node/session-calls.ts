import { BatonError } from '@batondb/core/errors';
import type { BatchEvent } from '../databases.ts';
import type { Connection } from '../engine/connection.ts';
import type { Executor } from './executor.ts';
import { packEvents, packOutcomes } from './packed.ts';
import type { WriterCalls } from './request.ts';
import { runSteps, stepEvents } from './steps.ts';

// What a client's session asks of the thread that writes.

type SessionCalls = Pick<
  WriterCalls,
  'steps' | 'script' | 'describeIn' | 'beginCursor' | 'pull' | 'endCursor' | 'closeSession'
>;
type Served = {
  readonly [Name in keyof SessionCalls]: (
    request: Parameters<SessionCalls[Name]>[0],
  ) => ReturnType<SessionCalls[Name]> | Promise<ReturnType<SessionCalls[Name]>>;
};
/** A cursor lives no longer than the connection that it is of. */
type OpenCursor = { readonly connection: Connection; readonly events: Generator<BatchEvent[], void> };

export function sessionCalls(executor: Executor): Served {
  const cursors = new Map<number, OpenCursor>();
  return {
    steps: ({ steps, resultBytesMax, ...turn }) =>
      executor.visit(turn, (connection) => packOutcomes(runSteps(connection, steps, resultBytesMax))),
    script: ({ sql, ...turn }) =>
      executor.visit(turn, (connection) => {
        connection.runScript(sql);
        return null;
      }),
    describeIn: ({ sql, ...turn }) => executor.visit(turn, (connection) => connection.describe(sql)),
    beginCursor: ({ steps, ...turn }) =>
      executor.visit(turn, (connection) => {
        cursors.set(turn.session, { connection, events: stepEvents(connection, steps) });
        return null;
      }),
    pull: (turn) =>
      executor.visit(turn, (connection) => {
        const cursor = cursors.get(turn.session);
        if (cursor?.connection !== connection) throw lost();
        const next = cursor.events.next();
        if (!next.done) return packEvents(next.value);
        cursors.delete(turn.session);
        return null;
      }),
    endCursor: (turn) =>
      executor.visit(turn, (connection) => {
        const cursor = cursors.get(turn.session);
        cursors.delete(turn.session);
        if (cursor?.connection === connection) cursor.events.return();
        return null;
      }),
    closeSession: ({ session }) => {
      cursors.delete(session);
      executor.closeSession(session);
      return null;
    },
  };
}

function lost(): BatonError {
  return new BatonError('REFUSED', 'what the cursor read stands on a transaction that was not accepted', {
    retryable: true,
    hint: 'begin it again',
  });
}
