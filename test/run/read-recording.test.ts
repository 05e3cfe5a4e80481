import { truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FileFormatError } from '../../src/errors.ts';
import { readRecording } from '../../src/run/read-recording.ts';
import { openReference } from '../../src/validate/reference.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

test('weights are no recording: nothing of them is read', async () => {
  const path = at('weights.safetensors');
  const bytes = 2 ** 31;
  const header = JSON.stringify({ x: { dtype: 'F32', shape: [bytes / 4], data_offsets: [0, bytes] } });
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([start, Buffer.from(header)]));
  truncateSync(path, 8 + header.length + bytes); // a file with a hole, which takes no disk
  for (const read of [readRecording(path), openReference(path)]) {
    const error = await rejectionOf(read);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain(`${path} holds 2.15 GB of tensors`);
  }
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(2 ** 29);
});
