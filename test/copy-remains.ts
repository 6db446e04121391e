// What a killed copy may leave behind, and what it may not: judged on every target directory by the system's own tools.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { compareFingerprints, type Fingerprint, fingerprintDirectory } from '@batondb/testbed/compare';
import { assertIdentical } from './copy-on-bed.ts';

const stagingPattern = /^\.baton-[0-9a-f]{16}\.(partial|published)$/;

/** A target directory with things of others in and beside it, which a copy must leave as they are. */
export class TargetDirectory {
  /** The target directory itself, absolute. */
  readonly path: string;
  readonly #parent: string;
  readonly #source: string;
  readonly #name: string;
  readonly #inside: Fingerprint;
  readonly #beside: Fingerprint;

  private constructor(parent: string, source: string, name: string, inside: Fingerprint, beside: Fingerprint) {
    this.path = join(parent, 'in');
    this.#parent = parent;
    this.#source = source;
    this.#name = name;
    this.#inside = inside;
    this.#beside = beside;
  }

  /** Makes `in` and its neighbours below `parent`, for copies of `source` under its own name or another one. */
  static async make(parent: string, source: string, name: string = basename(source)): Promise<TargetDirectory> {
    const path = join(parent, 'in');
    mkdirSync(join(path, 'of others'), { recursive: true });
    writeFileSync(join(path, 'of others', 'file'), 'untouched', { mode: 0o640 });
    // Both look like Baton's own and are not of this copy.
    mkdirSync(join(path, '.baton-0123456789abcdef.partial'), { mode: 0o700 });
    writeFileSync(join(path, '.baton-0123456789abcdef.partial', 'journal'), 'of another copy');
    writeFileSync(join(path, '.baton-notes'), 'a file of a user');
    symlinkSync('of others/file', join(path, `${name} `));
    writeFileSync(join(parent, 'beside'), 'untouched');
    const inside = await fingerprintDirectory(path);
    const beside = await fingerprintDirectory(parent, { ignore: ['in'] });
    return new TargetDirectory(parent, source, name, inside, beside);
  }

  /** The final path of the copy. */
  get copy(): string {
    return join(this.path, this.#name);
  }

  /** Whether the copy has its final name. */
  get isDone(): boolean {
    return existsSync(this.copy);
  }

  /** Names of what the copy has left besides itself. */
  staging(): string[] {
    return readdirSync(this.path).filter((name) => stagingPattern.test(name) && !this.#inside.has(name));
  }

  /** Fails the test unless nothing but the copy and its staging directory has changed, and the copy is not there or whole. */
  async assertSafe(): Promise<void> {
    const ignore = [this.#name, ...this.staging()];
    const inside = await fingerprintDirectory(this.path, { ignore });
    assert.deepEqual(compareFingerprints(this.#inside, inside, ignore), [], this.path);
    const beside = await fingerprintDirectory(this.#parent, { ignore: ['in'] });
    assert.deepEqual(compareFingerprints(this.#beside, beside), [], this.path);
    if (this.isDone) await assertIdentical(this.#source, this.copy);
  }

  /** Fails the test unless the copy is there, is the source, and is all that there is. */
  async assertComplete(): Promise<void> {
    assert.ok(this.isDone, `${this.copy} does not exist`);
    assert.deepEqual(this.staging(), [], 'nothing of the partial copy is left');
    await this.assertSafe();
  }
}
