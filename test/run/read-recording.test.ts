import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileFormatError } from '../../src/errors.ts';
import { readRecording } from '../../src/run/read-recording.ts';
import { openReference } from '../../src/validate/reference.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

/** A file of a tensor that is a hole, which takes no disk. */
function fileOf(name: string, bytes: number): string {
  const path = at(`${name}.safetensors`);
  const header = JSON.stringify({
    [name]: { dtype: 'F32', shape: [bytes / 4], data_offsets: [0, bytes] },
  });
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([start, Buffer.from(header)]));
  truncateSync(path, 8 + header.length + bytes);
  return path;
}

test('weights are no recording', async () => {
  const path = join(sdShapes, 'text_encoder/model.safetensors');
  for (const read of [() => readRecording(path), () => openReference(path)]) {
    const error = await rejectionOf(read());
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe(`${path} holds weights, and not what a model takes and gives.`);
  }
});

test('of more than the memory nothing is read', async () => {
  const path = fileOf('x', 2 ** 42);
  for (const read of [() => readRecording(path), () => openReference(path)]) {
    const error = await rejectionOf(read());
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toMatch(/holds 4398\.05 GB of tensors, and only .* GB of memory are free\.$/);
  }
});
