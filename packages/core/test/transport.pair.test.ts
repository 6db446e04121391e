import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import { openMemoryPair } from '../src/transport/memory.ts';
import { describeTransport, hasCode } from './transport.conformance.ts';
import { openMemory, openTls } from './transport.pairs.ts';

describeTransport('tls', openTls);
describeTransport('memory', openMemory);

// Proves: the memory pair's faults happen at the byte they are asked for.
test('a cut and a flipped byte', async () => {
  const [left, right] = openMemoryPair({ faults: [{ cutAfterBytes: 25 }, { flipByteAt: 7 }] });
  await left.write(...encodeFrame(frameTypes.have, new Uint8Array(10)));
  const cut = assert.rejects(
    left.write(...encodeFrame(frameTypes.have, new Uint8Array(10))),
    hasCode('CONNECTION_LOST'),
  );
  assert.equal((await right.readFrame())?.payload.length, 10);
  await cut;
  await assert.rejects(right.readFrame(), hasCode('CONNECTION_LOST'));
  assert.equal(right.bytesReceived, 25);

  const [reader, writer] = openMemoryPair({ faults: [{}, { flipByteAt: 7 }] });
  await writer.write(...encodeFrame(frameTypes.have, new Uint8Array(4)));
  assert.deepEqual([...((await reader.readFrame())?.payload ?? [])], [0, 0, 1, 0]);
});
