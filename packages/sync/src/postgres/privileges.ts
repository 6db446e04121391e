import type { TableName } from '../table.ts';
import type { Statement } from './setup-plan.ts';
import { quoteName, quoteTable } from './sql.ts';

export type RoleWish = {
  readonly role: string;
  readonly database: string;
  readonly tables: readonly TableName[];
};

/**
 * The least that a sync needs: to read the log, and to read the tables for a dump. A password is to be set by whoever runs it (`\password`), so that none is in a log.
 */
export function roleStatements({ role, database, tables }: RoleWish): readonly Statement[] {
  const name = quoteName(role);
  const schemas = [...new Set(tables.map(({ schema }) => schema))].map(quoteName);
  const reads = schemas.flatMap((schema): Statement[] => [
    { sql: `GRANT USAGE ON SCHEMA ${schema} TO ${name}`, why: 'to see its tables' },
    {
      sql: `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT ON TABLES TO ${name}`,
      why: 'for tables that you create later',
    },
  ]);
  const select = tables.map(quoteTable).join(', ');
  return [
    { sql: `CREATE ROLE ${name} LOGIN REPLICATION`, why: 'to read the log of changes' },
    { sql: `GRANT CONNECT ON DATABASE ${quoteName(database)} TO ${name}`, why: 'to connect' },
    ...reads,
    ...(select === ''
      ? []
      : [{ sql: `GRANT SELECT ON ${select} TO ${name}`, why: 'to dump them, and to read rows anew' }]),
  ];
}
