import { BatonError, type ErrorCode, type ErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import * as z from 'zod';
import { copyTypes } from '../options.ts';
import { inventoryBatch, inventoryParams } from './inventory-schemas.ts';
import type { AgentEvent, Greeting, Message, RequestName, RequestParams, RequestResult } from './messages.ts';

// What arrives on the control channel is checked against these before anybody reads it.

const count = z.number().int().nonnegative();
const base64 = z.base64();
const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const versionRange = z.object({ min: count, max: count });
const address = z.string().max(255);
const port = z.number().int().min(1).max(65_535);
const nothing = z.object({});
const entryKind = z.exactOptional(z.enum(['file', 'directory', 'symlink', 'fifo', 'character', 'block', 'hardlink']));
const copyType = z.exactOptional(z.enum(copyTypes));
const lsn = z.string().regex(/^\d{1,20}$/);
const sample = z.object({ first: z.array(z.string()), total: count });
// A newer peer may know codes that we do not: fromErrorRecord makes them SYSTEM.
const errorCode = z.string().max(64) as unknown as z.ZodType<ErrorCode>;
const errorRecord: z.ZodType<ErrorRecord> = z.object({
  code: errorCode,
  message: z.string(),
  retryable: z.boolean(),
  hint: z.exactOptional(z.string()),
  host: z.exactOptional(z.string()),
});

const greeting: z.ZodType<Greeting> = z.object({
  software: z.string().max(64),
  control: versionRange,
  data: versionRange,
  fingerprint: hexDigest,
  hostname: z.string().max(255),
  bootId: z.string().max(64),
  uid: count,
  cores: count,
  reachedAt: z.exactOptional(address),
  reachedFrom: z.exactOptional(address),
  addresses: z.exactOptional(z.array(address)),
});

const compression = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('auto') }),
  z.object({ mode: z.literal('none') }),
  z.object({ mode: z.literal('zstd'), level: z.number().int().min(1).max(22) }),
]);

const streamInput = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('stdin') }),
  z.object({ kind: z.literal('command'), command: z.string() }),
  z.object({
    kind: z.literal('mariadb'),
    socketPath: z.string(),
    defaultsFile: z.exactOptional(z.string()),
    loginPath: z.exactOptional(z.string()),
    stopReplica: z.boolean(),
    incremental: z.exactOptional(z.object({ fromLsn: z.exactOptional(lsn) })),
  }),
]);
const serverVersion = z.object({
  family: z.enum(['mariadb', 'mysql', 'percona']),
  major: count,
  minor: count,
  patch: count,
  text: z.string().max(255),
});
const backupTask = z.object({
  server: serverVersion,
  prepare: z.boolean(),
  prepareMemoryBytes: count,
  owner: z.exactOptional(z.string()),
  incremental: z.exactOptional(z.object({ base: z.string(), fromLsn: lsn })),
});
const backupResult = z.object({
  position: z.string(),
  details: z.record(z.string(), z.unknown()),
  files: count,
  isPrepared: z.boolean(),
});

const hopTarget = z.object({ to: count, epoch: count, addresses: z.array(address), port });

const abandoned = z.object({
  path: z.string(),
  source: z.string(),
  bytes: count,
  createdMs: z.number(),
  removed: z.boolean(),
  reason: z.exactOptional(z.string()),
});

const params: { readonly [N in RequestName]: z.ZodType<RequestParams<N>> } = {
  scan: z.object({ path: base64, exclude: z.array(z.string()), oneFileSystem: z.boolean() }),
  stream: z.object({ name: base64, input: streamInput }),
  checkBackup: z.object({ server: serverVersion, owner: z.exactOptional(z.string()) }),
  release: z.object({ units: count }),
  inspect: z.object({
    directory: base64,
    name: base64,
    source: z.string(),
    isStream: z.exactOptional(z.boolean()),
    type: copyType,
    isBackup: z.exactOptional(z.boolean()),
  }),
  inspectBase: z.object({ base: z.string(), directory: base64, isApplied: z.boolean() }),
  listen: z.object({ port: z.number().int().min(0).max(65_535), bind: z.exactOptional(z.string()) }),
  join: z.object({
    jobId: base64,
    member: count,
    members: z.array(hexDigest),
    dataVersion: count,
    priority: z.enum(['low', 'normal']),
  }),
  admit: z.object({
    // They become words of a firewall's commands.
    addresses: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .min(1)
      .max(limits.senderAddressesMax),
    port,
    mode: z.enum(['auto', 'nftables', 'iptables']),
  }),
  probe: z.object({ to: count, addresses: z.array(address), port }),
  receive: z.object({
    directory: base64,
    name: base64,
    source: z.string(),
    type: copyType,
    manifestDigest: hexDigest,
    manifestBytes: count,
    verify: z.enum(['wire', 'disk']),
    isStream: z.exactOptional(z.boolean()),
    backup: z.exactOptional(backupTask),
  }),
  expect: z.object({ epoch: count }),
  send: z.object({
    hops: z.array(hopTarget),
    streams: count,
    compression,
    bytesPerSecond: z.exactOptional(z.number().positive()),
  }),
  verifySource: nothing,
  sourceDigest: nothing,
  conclude: nothing,
  clean: z.object({ directory: base64, dryRun: z.boolean() }),
  inventory: inventoryParams,
  inventoryBatch: nothing,
};

const results: { readonly [N in RequestName]: z.ZodType<RequestResult<N>> } = {
  scan: z.object({
    manifestDigest: hexDigest,
    manifestBytes: count,
    entries: count,
    files: count,
    contentBytes: count,
    units: count,
    kind: entryKind,
    sockets: sample,
    unreadable: sample,
  }),
  stream: z.object({
    manifestDigest: hexDigest,
    manifestBytes: count,
    expectedBytes: z.exactOptional(count),
    server: z.exactOptional(serverVersion),
    incremental: z.exactOptional(
      z.object({ serverUuid: z.exactOptional(z.string().max(64)), serverLsn: z.exactOptional(lsn) }),
    ),
  }),
  checkBackup: z.object({ tool: z.string() }),
  release: nothing,
  inspect: z.object({
    findings: z.array(errorRecord),
    finalPath: z.string(),
    resumedBytes: count,
    published: z.boolean(),
    existing: entryKind,
    isAnew: z.exactOptional(z.boolean()),
    type: z.exactOptional(z.string().max(64)),
    space: z.exactOptional(
      z.object({
        device: z.string(),
        freeBytes: z.number(),
        freeInodes: z.exactOptional(z.number()),
        mount: z.string(),
      }),
    ),
  }),
  inspectBase: z.object({
    toLsn: lsn,
    bytes: count,
    serverVersion: z.string().max(255),
    serverUuid: z.exactOptional(z.string().max(64)),
  }),
  listen: z.object({ port, addresses: z.array(address) }),
  join: nothing,
  admit: z.object({ did: z.enum(['opened', 'nothing', 'unable']), where: z.string() }),
  probe: z.object({ address }),
  receive: nothing,
  expect: nothing,
  send: nothing,
  verifySource: z.object({ treeDigest: hexDigest }),
  sourceDigest: z.object({ treeDigest: z.exactOptional(hexDigest) }),
  conclude: nothing,
  clean: z.object({ found: z.array(abandoned) }),
  inventory: nothing,
  inventoryBatch,
};

const agentEvent: z.ZodType<AgentEvent> = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    phase: z.enum(['checking', 'receiving', 'finishing', 'verifying', 'unpacking', 'preparing', 'done', 'failed']),
    doneBytes: count,
    totalBytes: count,
    doneFiles: count,
    totalFiles: count,
    wireBytes: count,
    resumedBytes: count,
    heldUnits: z.exactOptional(count),
  }),
  z.object({ type: z.literal('produced'), bytes: count, units: count, isWaiting: z.boolean(), isEnded: z.boolean() }),
  z.object({ type: z.literal('stream-failed'), error: errorRecord }),
  z.object({ type: z.literal('resumed'), keptBytes: count, keptUnits: count, discardedFiles: count }),
  z.object({ type: z.literal('unit-damaged'), unit: count, path: z.string(), offset: count, length: count }),
  z.object({
    type: z.literal('source-change'),
    path: z.string(),
    what: z.enum(['changed', 'grew', 'shrank', 'vanished', 'unreadable']),
  }),
  z.object({
    type: z.literal('not-kept'),
    what: z.enum(['owner', 'setuid', 'xattr', 'acl', 'capability', 'device', 'times', 'mode']),
    count,
    example: z.string(),
    reason: z.string(),
  }),
  z.object({ type: z.literal('hop-failed'), to: count, epoch: count, error: errorRecord }),
  z.object({ type: z.literal('hop-done'), to: count, epoch: count }),
  z.object({
    type: z.literal('done'),
    treeDigest: hexDigest,
    unpacked: z.exactOptional(z.object({ entries: count, files: count, contentBytes: count, skipped: count })),
    backup: z.exactOptional(backupResult),
  }),
  z.object({
    type: z.literal('replication'),
    state: z.enum(['stopped', 'started']),
    threads: z.array(z.string()),
  }),
  z.object({ type: z.literal('failed'), error: errorRecord }),
]);

const message: z.ZodType<Message> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('request'), id: count, name: z.string().max(64), params: z.unknown() }),
  z.object({ kind: z.literal('reply'), id: count, result: z.unknown() }),
  z.object({ kind: z.literal('refusal'), id: count, error: errorRecord }),
  z.object({ kind: z.literal('event'), event: z.unknown() }),
  z.object({ kind: z.literal('ping') }),
]);

/** Each of these throws PROTOCOL naming the field that is not as it must be. */
export function parseGreeting(value: unknown): Greeting {
  return parse(greeting, value, 'the greeting');
}

export function parseMessage(value: unknown): Message {
  return parse(message, value, 'a control message');
}

export function parseEvent(value: unknown): AgentEvent {
  return parse(agentEvent, value, 'an event');
}

/** The name of a request, if we know it. */
export function parseRequestName(name: string): RequestName {
  if (Object.hasOwn(params, name)) return name as RequestName;
  throw new BatonError('PROTOCOL', `the request ${name} is not known here`);
}

export function parseParams<N extends RequestName>(name: N, value: unknown): RequestParams<N> {
  return parse(params[name], value, `the request ${name}`);
}

export function parseResult<N extends RequestName>(name: N, value: unknown): RequestResult<N> {
  return parse(results[name], value, `the reply to ${name}`);
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BatonError(
    'PROTOCOL',
    `${what} is not understood: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}
