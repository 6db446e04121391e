// Nodes in this thread, each on a disk in memory, of which one follows the other: with all that a node has but threads and a network.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Layout } from '@batondb/core/transfer/layout';
import type { Random } from '@batondb/testbed/random';
import type { FileLayer } from '../../src/log/file-layer.ts';
import { ReadGate } from '../../src/log/read-gate.ts';
import { segmentPath } from '../../src/log/segment-files.ts';
import { LogFiles } from '../../src/machine/log-files.ts';
import { PageIndex, pageIndexMemory } from '../../src/machine/page-index.ts';
import { Paths } from '../../src/machine/paths.ts';
import { encodeState, type StateRecord } from '../../src/machine/state-record.ts';
import { pinsMax } from '../../src/node/options.ts';
import type { NodeRole } from '../../src/node/role.ts';
import type { WriterHost } from '../../src/node/writer-host.ts';
import { LogTail } from '../../src/replica/log-tail.ts';
import { encodeMessage, versions } from '../../src/replica/messages.ts';
import { stateDigest } from '../../src/replica/state-digest.ts';
import { judgeHello } from '../../src/replica/verdict.ts';
import { checkSnapshot } from '../../src/snapshot/check.ts';
import { fileName, stateName } from '../../src/snapshot/contents.ts';
import { manifestOf } from '../../src/snapshot/manifest.ts';
import { SnapshotReader } from '../../src/snapshot/snapshot-reader.ts';
import { installReceived } from '../../src/snapshot/swap.ts';
import { FaultyLayer } from '../faulty-layer.ts';
import { openHost, smallSettings } from '../in-process.ts';

const directory = '/node';
const paths = new Paths(directory);
const leaderUrl = 'http://leader:1';
export const following: NodeRole = { kind: 'follow', url: leaderUrl };
export const leading: NodeRole = { kind: 'lead' };

/** A snapshot, as files by name. */
export type Copy = { readonly record: StateRecord; readonly files: ReadonlyMap<string, Uint8Array> };

export class ModelNode {
  readonly layer: FaultyLayer;
  readonly role: NodeRole;
  readonly index: PageIndex;
  readonly host: WriterHost;

  private constructor(layer: FaultyLayer, role: NodeRole, index: PageIndex, host: WriterHost) {
    this.layer = layer;
    this.role = role;
    this.index = index;
    this.host = host;
  }

  static async open(layer: FaultyLayer, role: NodeRole): Promise<ModelNode> {
    const size = { frames: smallSettings.indexPages, pins: pinsMax };
    const index = pageIndexMemory(size);
    const host = await openHost(layer, { directory, role, index });
    return new ModelNode(layer, role, new PageIndex(index, size), host);
  }

  /** A node on a disk that has nothing but a snapshot, which is verified first. */
  static async from({ record, files }: Copy, random: Random, role: NodeRole): Promise<ModelNode> {
    const layer = new FaultyLayer(random);
    for (const [name, content] of files) writeFile(layer, join(paths.received, name), content);
    checkSnapshot(layer, paths.received);
    installReceived(layer, paths, record);
    return await ModelNode.open(layer, role);
  }

  /** What starts again after this node's machine lost its power. */
  async afterPowerCut(): Promise<ModelNode> {
    return await ModelNode.open(this.layer.afterPowerCut(), this.role);
  }

  /** All databases at one position, read as a snapshot's thread reads them. */
  async snapshot(): Promise<Copy> {
    const pinned = await this.host.pinState();
    const { record } = pinned;
    const logFiles = new LogFiles(this.layer, (file) => segmentPath(paths.log, file));
    const context = { index: this.index, gate: new ReadGate(ReadGate.memory()), layer: this.layer, paths, logFiles };
    const state = encodeState(record);
    const layout = Layout.of(manifestOf(record, state)).share();
    try {
      const reader = new SnapshotReader(context, { pinned, state, layout });
      const names = [stateName, ...record.databases.map(fileName)];
      return {
        record,
        files: new Map(names.map((name) => [name, reader.part(name, 0, reader.digest(name).bytes)])),
      };
    } finally {
      this.index.freePin(pinned.pin);
      logFiles[Symbol.dispose]();
    }
  }

  /** Follows a leader until both are at one position, and returns the node that is there: another one if it had to take a snapshot. */
  async follow(leader: ModelNode, random: Random): Promise<ModelNode> {
    const [own, theirs] = [this.host.status(), leader.host.status()];
    const judged = judgeHello(
      {
        ...{ type: 'hello', versions, nodeId: 'follower', name: 'follower', pingMs: 1000 },
        logId: own.position.index === 0 ? '' : own.logId,
        ...{ position: own.position, state: stateDigest(own.databases) },
      },
      {
        ...theirs,
        nodeId: 'leader',
        state: stateDigest(theirs.databases),
        upstream: [],
        isConnected: true,
        isLeader: true,
      },
    );
    if (judged !== undefined) {
      // Of two restores of one snapshot neither is the other's origin: there a person has to empty the directory.
      const isOrigin = theirs.origins.includes(own.logId);
      assert.equal(judged.verdict, isOrigin ? 'diverged' : 'other-log', judged.reason);
      return await this.#join(leader, random);
    }
    try {
      await this.host.beginFollowing(theirs.logId, leaderUrl);
      await this.#stream(leader);
      return this;
    } catch (error) {
      assert.equal((error as { readonly code?: string }).code, 'HISTORY_LOST', String(error));
      return await this.#join(leader, random);
    }
  }

  async #stream(leader: ModelNode): Promise<void> {
    const place = { layer: leader.layer, directory: paths.log, index: leader.index };
    using tail = LogTail.open(place, this.host.status().position);
    for (let entries = tail.read(); entries.length > 0; entries = tail.read()) {
      const message = { type: 'entries', leader: leader.host.status().position, entries } as const;
      await this.host.follow(encodeMessage(message).subarray(4));
    }
  }

  async #join(leader: ModelNode, random: Random): Promise<ModelNode> {
    await this.host.close();
    const { record, files } = await leader.snapshot();
    return await ModelNode.from({ record: { ...record, follows: leaderUrl }, files }, random, following);
  }
}

function writeFile(layer: FileLayer, path: string, content: Uint8Array): void {
  const file = layer.open(path, 'create');
  file.write(content, 0);
  file.sync();
  file.close();
}
