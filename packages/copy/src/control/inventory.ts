import type { SurveyItem } from '@batondb/core/files/survey';

// What a coordinator and an agent say when a tree is compared rather than copied: docs/protocol/control.md, Inventories.

export type InventoryParams = {
  /** The tree itself, base64. */
  readonly path: string;
  readonly exclude: readonly string[];
  readonly oneFileSystem: boolean;
  /** False: a further name of a file is listed and read as a file of its own. */
  readonly hardlinks: boolean;
  /** Read the files' content. */
  readonly content: boolean;
  /** Find out by a second walk, which reads no content, how much the whole is. */
  readonly totals: boolean;
  readonly priority: 'low' | 'normal';
};

/**
 * One thing of an inventory. With `content`, the entry of a file that is not empty is followed by `units` and then its `end`;
 * nothing else comes between them.
 */
export type InventoryItem =
  | SurveyItem
  /** Digests (BLAKE3, hexadecimal) of the file's next units, 1 MiB each and the last one shorter; or one of `times` units. */
  | { readonly type: 'units'; readonly digests: string; readonly times?: number }
  /** The file was read; `reason` is the system's word when it could not be. */
  | { readonly type: 'end'; readonly state: 'whole' | 'changed' | 'unreadable'; readonly reason?: string };

/** The next things of an inventory; `isLast` is its end. */
export type InventoryBatch = {
  readonly items: readonly InventoryItem[];
  readonly isLast: boolean;
  /** What of the tree is in this batch and all before it. */
  readonly done: InventoryCount;
  /** How much the whole is, once that is known. */
  readonly totals?: InventoryCount;
};

/** `bytes`: the size of the files, holes included. */
export type InventoryCount = { readonly entries: number; readonly files: number; readonly bytes: number };
