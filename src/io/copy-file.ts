import { openFile } from './disk.ts';
import { type Hashed, writeHashed } from './hashing/write-hashed.ts';
import { streamBytes } from './stream-bytes.ts';

/** Copies a file and gives its size and SHA-256. Throws as `openFile` and `createFile` do. */
export async function copyHashed(from: string, to: string): Promise<Hashed> {
  const source = await openFile(from);
  try {
    return await writeHashed(to, async (write) => {
      let offset = 0;
      for await (const block of streamBytes(source, 0, source.size)) {
        await write(block, offset);
        offset += block.length;
      }
    });
  } finally {
    await source.close();
  }
}
