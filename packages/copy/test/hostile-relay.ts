import { StagedTree } from '@batondb/core/transfer/staged-tree';
import { encodeUnit, openUnit } from '@batondb/core/transfer/unit-codec';
import { SharedUnit } from '@batondb/core/transport/unit-buffers';
import { runAgent } from '../src/agent/main.ts';

// An agent gone bad: what it passes on is not what it received, with digests that fit.

// oxlint-disable-next-line typescript/unbound-method -- called with its this below
const { watch } = StagedTree.prototype;
StagedTree.prototype.watch = function (this: StagedTree, listener) {
  return watch.call(this, (unit, message) => listener(unit, message && altered(unit, message)));
};

function altered(unit: number, message: SharedUnit): SharedUnit {
  const content = Buffer.from(openUnit(message.payload).content);
  if (content.length > 0) content.writeUInt8(content.readUInt8(0) ^ 1, 0);
  const into = new Uint8Array(content.length + 1024);
  return new SharedUnit(encodeUnit({ unit, content, changes: [], claim: undefined }, { mode: 'none' }, into).payload);
}

await runAgent(process.stdin, process.stdout);
process.exit(0);
