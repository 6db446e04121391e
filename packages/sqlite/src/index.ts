export {
  type BatchEvent,
  type CallOptions,
  type Column,
  type Condition,
  type Databases,
  type Description,
  type Effect,
  type NamedValue,
  type Readiness,
  type Receipt,
  type Row,
  type Session,
  type SessionOptions,
  SqlError,
  type SqlValue,
  type Statement,
  type StatementResult,
  type Step,
  type StepOutcome,
} from './databases.ts';
export { holds } from './hrana/conditions.ts';
export type { CertificateFiles } from './server/certificate.ts';
export { type RefusalCode, refusalCodes } from './server/refusal.ts';
export { type RunningServer, type ServerOptions, startServer } from './server/server.ts';
export { defaultSettings, type ServerSettings } from './server/settings.ts';
export { createToken, listTokens, revokeToken, type TokenSummary } from './server/tokens/manage.ts';
export { type Right, rights } from './server/tokens/token.ts';
