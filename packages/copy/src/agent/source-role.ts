import { BatonError } from '@batondb/core/errors';
import { entryPath } from '@batondb/core/files/directories';
import { openDirectory, splitPath } from '@batondb/core/files/open';
import { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { Layout } from '@batondb/core/transfer/layout';
import { SourceTree } from '@batondb/core/transfer/source-tree';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import { fromBase64, toHex } from '../bytes.ts';
import type { RequestParams, RequestResult } from '../control/messages.ts';
import type { Report } from './agent.ts';

/** An agent as the source: it has read the tree's metadata and supplies its units. */
export class SourceRole {
  readonly supply: SourceTree;
  readonly summary: RequestResult<'scan'>;

  private constructor(supply: SourceTree, summary: RequestResult<'scan'>) {
    this.supply = supply;
    this.summary = summary;
  }

  /** Walks the tree in a worker and opens it for reading in all. */
  static async scan(pool: WorkerPool, params: RequestParams<'scan'>, report: Report): Promise<SourceRole> {
    const root = fromBase64(params.path);
    const { exclude, oneFileSystem } = params;
    const walked = await pool.run({ kind: 'walk', root, exclude, oneFileSystem });
    const manifest = Manifest.fromShare(walked.manifest);
    const layout = Layout.fromShare(walked.layout);
    const { directory, name } = splitPath(root);
    const parentDescriptor = openDirectory(directory, { readable: false });
    const tree = {
      parentDescriptor,
      rootName: name,
      manifest: walked.manifest,
      layout: walked.layout,
      role: 'source',
    } as const;
    await pool.runOnAll({ kind: 'open', tree });
    const onChange = (entry: number, what: Parameters<ConstructorParameters<typeof SourceTree>[3]>[1]) =>
      report({ type: 'source-change', path: entryPath(manifest, entry), what });
    for (const path of walked.report.vanished.first) report({ type: 'source-change', path, what: 'vanished' });
    const manifestBytes = manifest.sections.reduce((bytes, section) => bytes + section.byteLength, 0);
    return new SourceRole(new SourceTree(pool, manifest, layout, onChange), {
      manifestDigest: toHex(manifest.digest),
      manifestBytes,
      entries: manifest.count,
      files: layout.fileCount,
      contentBytes: layout.contentBytes,
      units: layout.unitCount,
      kind: manifest.kindOf(0),
      sockets: walked.report.sockets,
      unreadable: walked.report.unreadable,
    });
  }

  /** Reads everything again; what differs from what was sent is reported as changed. */
  async verify(signal: AbortSignal): Promise<RequestResult<'verifySource'>> {
    await this.supply.verify(signal);
    const { treeDigest: digest } = this.digest();
    if (digest === undefined) throw new BatonError('BUG', 'T7: a source that was read whole knows every digest');
    return { treeDigest: digest };
  }

  /** The digest over what was sent, or is known from receivers that had it; none when that is not everything. */
  digest(): RequestResult<'sourceDigest'> {
    const { known, manifest } = this.supply;
    if (!known.isFull) return {};
    return { treeDigest: toHex(treeDigest(manifest.digest, known.allDigests(), known.allChanges())) };
  }
}
