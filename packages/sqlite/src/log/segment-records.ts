import type { FileLayer } from './file-layer.ts';
import { recordBytes } from './record.ts';
import { type FoundRecord, scanSegment } from './scan.ts';
import { segmentPath } from './segment-files.ts';

// Records of segments that nobody has open: what a start looks at, and what it erases.

/** Every intact record of a segment, in the order of offsets. */
export function readRecords(layer: FileLayer, directory: string, generation: number): FoundRecord[] {
  const file = layer.open(segmentPath(directory, generation), 'read');
  try {
    return scanSegment(file, generation);
  } finally {
    file.close();
  }
}

/** Erases a record. When this returns it is gone for good. */
export function eraseRecord(
  layer: FileLayer,
  directory: string,
  { generation, offset, payloadBytes }: FoundRecord,
): void {
  const file = layer.open(segmentPath(directory, generation), 'write');
  try {
    file.write(new Uint8Array(recordBytes(payloadBytes)), offset);
    file.sync();
  } finally {
    file.close();
  }
}
