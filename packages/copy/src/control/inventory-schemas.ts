import { limits } from '@batondb/core/limits';
import * as z from 'zod';
import type { InventoryBatch, InventoryItem, InventoryParams } from './inventory.ts';

// The checks for what crosses in an inventory. Not checked here: the order of things, which is the reader's (verify/cursor.ts).

const count = z.number().int().nonnegative();
const id = count.max(0xffffffff);
const base64 = z.base64();
const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const place = { depth: count, name: base64.max(2 * limits.nameBytesMax) };
const why = z.enum(['unreadable', 'vanished']);

export const inventoryParams: z.ZodType<InventoryParams> = z.object({
  path: base64,
  exclude: z.array(z.string()),
  oneFileSystem: z.boolean(),
  hardlinks: z.boolean(),
  content: z.boolean(),
  totals: z.boolean(),
  priority: z.enum(['low', 'normal']),
});

const item: z.ZodType<InventoryItem> = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('entry'),
    ...place,
    kind: z.enum(['file', 'directory', 'symlink', 'fifo', 'character', 'block']),
    mode: z.number().int().min(0).max(0o7777),
    uid: id,
    gid: id,
    modifyTimeNs: z.string().regex(/^-?\d{1,30}$/),
    sizeBytes: z.exactOptional(count),
    target: z.exactOptional(base64),
    device: z.exactOptional(z.string().regex(/^\d{1,10}:\d{1,10}$/)),
    xattrs: z.exactOptional(hexDigest),
    isUnlisted: z.exactOptional(z.boolean()),
  }),
  z.object({ type: z.literal('hardlink'), ...place, link: base64 }),
  z.object({ type: z.literal('passed'), ...place, why }),
  z.object({
    type: z.literal('units'),
    digests: z.string().regex(/^(?:[0-9a-f]{64})+$/),
    times: z.exactOptional(count.min(1)),
  }),
  z.object({
    type: z.literal('end'),
    state: z.enum(['whole', 'changed', 'unreadable']),
    reason: z.exactOptional(z.string().max(64)),
  }),
]);

const counted = z.object({ entries: count, files: count, bytes: count });

export const inventoryBatch: z.ZodType<InventoryBatch> = z.object({
  items: z.array(item),
  isLast: z.boolean(),
  done: counted,
  totals: z.exactOptional(counted),
});
