// A temporary directory that goes away, also after a killed test and whatever was made in it.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRecord, type RecordHandle } from './registry.ts';
import { removeRecorded } from './removal.ts';

/** A directory of one test. Removed at the end of the block that holds it by `await using`. */
export class Sandbox implements AsyncDisposable {
  /** Absolute, without a slash at the end. */
  readonly path: string;
  /** Where mounts made inside are noted, so that a sweep finds them. */
  readonly record: RecordHandle;

  constructor(path: string, record: RecordHandle) {
    this.path = path;
    this.record = record;
  }

  /** The path of a name inside. */
  join(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeRecorded(this.record);
  }
}

/** Makes a temporary directory `PREFIX-XXXXXXXX` with mode 0755 that goes with its record; returns its path. */
export function makeRecordedDirectory(record: RecordHandle, prefix: string): string {
  const path = join(tmpdir(), `${prefix}-${randomBytes(4).toString('hex')}`);
  record.add('directories', path);
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    // It is somebody else's then, and must not be removed with ours.
    record.record.directories.pop();
    record.save();
    throw error;
  }
  chmodSync(path, 0o755);
  return path;
}

/** A new empty directory with mode 0755 below the system's temporary directory. */
export function makeSandbox(): Sandbox {
  const record = createRecord('bs');
  return new Sandbox(makeRecordedDirectory(record, 'baton-sandbox'), record);
}
