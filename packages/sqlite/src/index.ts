export type { Databases } from './databases.ts';
export type { CertificateFiles } from './server/certificate.ts';
export { type RefusalCode, refusalCodes } from './server/refusal.ts';
export { type RunningServer, type ServerOptions, startServer } from './server/server.ts';
export { defaultSettings, type ServerSettings } from './server/settings.ts';
export { createToken, listTokens, revokeToken, type TokenSummary } from './server/tokens/manage.ts';
export { type Right, rights } from './server/tokens/token.ts';
