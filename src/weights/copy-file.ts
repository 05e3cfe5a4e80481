import { BLOCK_BYTES } from './bytes.ts';
import { createFile, openFile } from './disk.ts';
import { hashingSink } from './hashing-sink.ts';

/** Copies a file and gives its size and SHA-256 (hexadecimal). Throws as `openFile` and `createFile` do. */
export async function copyHashed(from: string, to: string): Promise<{ readonly byteLength: number; readonly sha256: string }> {
  const source = await openFile(from);
  try {
    const sink = hashingSink(await createFile(to));
    try {
      const buffer = new Uint8Array(Math.min(BLOCK_BYTES, source.size));
      for (let offset = 0; offset < source.size; offset += buffer.length) {
        const block = buffer.subarray(0, source.size - offset);
        await source.read(block, offset);
        await sink.write(block, offset);
      }
      await sink.close();
      return sink.finish();
    } catch (error) {
      await sink.discard();
      throw error;
    }
  } finally {
    await source.close();
  }
}
