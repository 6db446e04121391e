export { type CleanResult, clean } from './clean.ts';
export { copy } from './copy.ts';
export { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.ts';
export type * from './events.ts';
export { type Compression, type CopyOptions, defaultOptions } from './options.ts';
export type { CopyPlan } from './plan.ts';
export type * from './verify/events.ts';
export { defaultVerifyOptions, type Ignorable, ignorable, type VerifyOptions } from './verify/options.ts';
export { verify } from './verify/verify.ts';
