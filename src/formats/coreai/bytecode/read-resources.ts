import type { ByteSource } from '../../../io/bytes.ts';
import { countBytes, quote } from '../../../io/error-text.ts';
import { ByteReader, checkName, MalformedError, pick } from './byte-reader.ts';
import { type StoredTensor, storedTensor } from './stored-tensor.ts';

/** The kind of resources that hold bytes; the others hold a truth and a text. */
const BLOB = 0;

/** Longest beginning of a resource: alignment and size. */
const LONGEST_HEAD = 9 + 9;

/**
 * Finds the resources, from the section with their names and sizes and the place of the section that they are in. Throws
 * `MalformedError` for two of one name, and for sizes that are not those of the section.
 */
export async function readResources(
  file: ByteSource,
  sizes: ByteReader,
  strings: readonly string[],
  section: { readonly offset: number; readonly byteLength: number } = { offset: 0, byteLength: 0 },
): Promise<StoredTensor[]> {
  const found = new Map<string, StoredTensor>();
  let at = section.offset;
  const end = section.offset + section.byteLength;
  for (const { name, byteLength } of readSizes(sizes, strings)) {
    if (found.has(name)) throw new MalformedError(`two of its weights are called ${quote(name)}`);
    if (byteLength > end - at)
      throw new MalformedError(
        `the weight ${quote(name)} has ${countBytes(byteLength)}, of which ${countBytes(end - at)} are there`,
      );
    found.set(name, await readBlob(file, name, at, byteLength));
    at += byteLength;
  }
  return [...found.values()];
}

/** The names and sizes of all resources: first of the tools', whose number is usually 0, then of the dialect's. */
function readSizes(sizes: ByteReader, strings: readonly string[]) {
  const groups = sizes.varint();
  if (groups !== 0) throw new MalformedError('it has resources of other tools');
  const resources: { readonly name: string; readonly byteLength: number }[][] = [];
  while (sizes.left > 0) {
    sizes.varint(); // the dialect: there is one
    const group = sizes.list(() => {
      const name = checkName(pick(strings, sizes.varint(), 'text'));
      const byteLength = sizes.varint();
      if (sizes.byte() !== BLOB) throw new MalformedError(`the resource ${quote(name)} is not of bytes`);
      return { name, byteLength };
    });
    resources.push(group);
  }
  return resources.flat();
}

/** Alignment, size, padding, bytes: all together of the size that the section before says. */
async function readBlob(
  file: ByteSource,
  name: string,
  at: number,
  byteLength: number,
): Promise<StoredTensor> {
  const bytes = new Uint8Array(Math.min(LONGEST_HEAD, byteLength));
  await file.read(bytes, at);
  const head = new ByteReader(bytes);
  const [alignment, size] = [Math.max(1, head.varint()), head.varint()];
  const offset = Math.ceil((at + head.at) / alignment) * alignment;
  if (offset + size !== at + byteLength)
    throw new MalformedError(
      `the weight ${quote(name)} says two sizes: ${countBytes(size)} do not fit ${countBytes(byteLength)}`,
    );
  return storedTensor(file, name, offset, size);
}
