import type { Manifest } from '@batondb/core/protocol/manifest';
import type { UnitCompression } from '@batondb/core/transfer/jobs';
import type { Layout } from '@batondb/core/transfer/layout';
import type { UnitSupply } from '@batondb/core/transfer/supply';
import { takeUnitBuffer } from '@batondb/core/transport/unit-buffers';
import type { Caller } from '../node/call-port.ts';
import type { SnapshotCalls } from './snapshot-calls.ts';

/** A snapshot as units that can be had at any time, in any order. */
export class SnapshotSupply implements UnitSupply {
  readonly manifest: Manifest;
  readonly layout: Layout;
  readonly oldest = 0;
  readonly #thread: Caller<SnapshotCalls>;

  constructor(thread: Caller<SnapshotCalls>, manifest: Manifest, layout: Layout) {
    this.#thread = thread;
    this.manifest = manifest;
    this.layout = layout;
  }

  get reach(): number {
    return this.layout.unitCount;
  }

  get ended(): Promise<number> {
    return Promise.resolve(this.layout.unitCount);
  }

  has(): boolean {
    return true;
  }

  learn(): void {
    // What is sent follows from the pinned state, whoever has what of it.
  }

  async read(unit: number, compression: UnitCompression, claim?: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const into = takeUnitBuffer();
    return await this.#thread.call('read', { unit, compression, claim, into }, [into.buffer]);
  }

  watch(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }
}
