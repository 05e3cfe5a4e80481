import { expect, test } from 'vitest';
import { roomFor } from '../../page/worker/room-for.ts';

test('a file that no memory holds is one sentence', () => {
  const file = { path: 'models/unet/model.onnx', sha256: '' };
  expect(roomFor({ ...file, byteLength: 3 })).toEqual(new Uint8Array(3));
  expect(() => roomFor({ ...file, byteLength: 2 ** 52 })).toThrow(
    /^This browser has no memory for models\/unet\/model\.onnx, of \d+\.\d GB: close other tabs/,
  );
});
