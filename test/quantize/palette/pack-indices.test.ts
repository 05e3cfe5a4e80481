import { expect, test } from 'vitest';
import { IndexPacker, packedSize } from '../../../src/quantize/palette/pack-indices.ts';
import { paletteBits } from '../../../src/quantize/palette/palette.ts';

/** The indices as one stream of bits, each one's and each byte's lowest bit first. */
function packed(indices: readonly number[], bits: number): number[] {
  const stream = indices.flatMap((index) => Array.from({ length: bits }, (_, bit) => (index >> bit) & 1));
  return Array.from({ length: Math.ceil(stream.length / 8) }, (_, byte) =>
    stream.slice(byte * 8, byte * 8 + 8).reduce((sum, bit, place) => sum + (bit << place), 0),
  );
}

test.each(paletteBits)('%d bits: indices are one stream of bits, however they come', (bits) => {
  const indices = Array.from({ length: 45 }, (_, i) => (i * 37 + 11) % 2 ** bits);
  const table = Uint8Array.from({ length: 65536 }, (_, code) => code % 2 ** bits);
  for (const sizes of [[45], [8, 37], [1, 2, 3, 39], [7, 7, 31], [0, 45]]) {
    const packer = new IndexPacker(bits);
    const bytes: number[] = [];
    const into = new Uint8Array(64);
    let taken = 0;
    for (const size of sizes) {
      const codes = Uint16Array.from(indices.slice(taken, taken + size), (index) => index + 2 ** bits * 3);
      taken += size;
      bytes.push(...into.subarray(0, packer.pack(codes, table, into)));
    }
    bytes.push(...into.subarray(0, packer.finish(into)));
    expect(bytes).toEqual(packed(indices, bits));
    expect(bytes.length).toBe(packedSize(45, bits));
  }
});
