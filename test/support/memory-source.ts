import type { ByteSource } from '../../src/io/bytes.ts';

/** Bytes in memory as a source; `largestRead` tells how much was asked for at once. */
export function memorySource(bytes: Uint8Array, name = 'memory.safetensors') {
  const source = {
    name,
    size: bytes.length,
    largestRead: 0,
    async read(into: Uint8Array, offset: number): Promise<void> {
      source.largestRead = Math.max(source.largestRead, into.length);
      if (offset + into.length > bytes.length) throw new Error(`${name} was read beyond its end`);
      into.set(bytes.subarray(offset, offset + into.length));
    },
    close: async () => {},
  } satisfies ByteSource & { largestRead: number };
  return source;
}
