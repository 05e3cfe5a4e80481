import fc from 'fast-check';
import { expect } from 'vitest';
import { SdConvertError } from '../../src/errors.ts';

/** Changes up to six bytes of a file anywhere, `numRuns` times: `read` reads it or refuses it, and nothing else happens. */
export async function expectReadOrRefused(
  original: Uint8Array,
  read: (bytes: Uint8Array) => Promise<unknown>,
  numRuns: number,
): Promise<void> {
  const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
  const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
    const bytes = Uint8Array.from(original);
    for (const [at, value] of changes) bytes[at] = value;
    await read(bytes).catch((error: unknown) => expect(error).toBeInstanceOf(SdConvertError));
  });
  await fc.assert(property, { numRuns });
}
