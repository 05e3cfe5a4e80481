import { BLOCK_BYTES } from './bytes.ts';
import { openFile } from './disk.ts';
import { type Hashed, writeHashed } from './hashing/write-hashed.ts';

/** Copies a file and gives its size and SHA-256. Throws as `openFile` and `createFile` do. */
export async function copyHashed(from: string, to: string): Promise<Hashed> {
  const source = await openFile(from);
  try {
    return await writeHashed(to, async (write) => {
      const buffer = new Uint8Array(Math.min(BLOCK_BYTES, source.size));
      for (let offset = 0; offset < source.size; offset += buffer.length) {
        const block = buffer.subarray(0, source.size - offset);
        await source.read(block, offset);
        await write(block, offset);
      }
    });
  } finally {
    await source.close();
  }
}
