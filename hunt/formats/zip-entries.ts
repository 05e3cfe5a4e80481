import { inflateRawSync } from 'node:zlib';
import { type ZipEntry, zipOf } from '../../test/support/zip-bytes.ts';
import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten } from '../mutate-bytes.ts';
import { oddTexts } from '../mutate-text.ts';

/** Changes the numbers in a zip archive's headers (APPNOTE.TXT 4.3), where they are. */
export const mutateZipNumbers: Mutator = (bytes, random) => {
  const fields = headersOf(bytes).flatMap(({ at, widths }) => {
    let offset = at + 4;
    return widths.map((width) => {
      offset += width;
      return { at: offset - width, width };
    });
  });
  if (fields.length === 0) return mutateBytes(bytes, random);
  const { at, width } = random.pick(fields);
  return overwritten(bytes, at, littleEndian(oddNumber(random), width));
};

/** Changes which entries an archive has: names, order, sizes, methods, many of them. */
export const mutateEntries: Mutator = (bytes, random) => {
  const entries = entriesOf(bytes);
  const entry = entries && random.pick(entries);
  if (!entry) return mutateBytes(bytes, random);
  const at = entries.indexOf(entry);
  switch (random.below(6)) {
    case 0:
      return zipOf(entries.toSpliced(at, 1));
    case 1: {
      const more = Array.from({ length: random.length(3000) }, (_, n) => ({
        ...entry,
        name: `${entry.name}${n}`,
      }));
      return zipOf([...entries, ...more.map((each) => ({ ...each, data: each.data.subarray(0, 64) }))]);
    }
    case 2:
      return zipOf(entries.with(at, { ...entry, name: random.pick(oddTexts) }));
    case 3:
      return zipOf(entries.with(at, { ...entry, size: Number(oddNumber(random) & 0xffffffffn) }));
    case 4:
      return zipOf(
        entries.with(at, { ...entry, method: random.below(10), flags: random.below(16), zip64: true }),
      );
    default:
      return zipOf(entries.with(at, { ...entry, data: mutateBytes(entry.data, random) }));
  }
};

/** Changes the bytes of the entries whose names fit; the archive around them is right. */
export function mutateEntry(names: RegExp, mutators: readonly Mutator[]): Mutator {
  return (bytes, random) => {
    const entries = entriesOf(bytes) ?? [];
    const fitting = entries.filter(({ name }) => names.test(name));
    if (fitting.length === 0) return mutateBytes(bytes, random);
    const entry = random.pick(fitting);
    return zipOf(
      entries.with(entries.indexOf(entry), { ...entry, data: random.pick(mutators)(entry.data, random) }),
    );
  };
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

/** Widths of the numbers behind each signature. */
const layouts: ReadonlyMap<number, readonly number[]> = new Map([
  [LOCAL, [2, 2, 2, 2, 2, 4, 4, 4, 2, 2]],
  [CENTRAL, [2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4]],
  [END, [2, 2, 2, 2, 4, 4, 2]],
  [0x06064b50, [8, 2, 2, 4, 4, 8, 8, 8, 8]],
  [0x07064b50, [4, 8, 4]],
]);

function headersOf(bytes: Uint8Array): { at: number; signature: number; widths: readonly number[] }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = bytes.indexOf(0x50); at >= 0 && at + 22 <= bytes.length; at = bytes.indexOf(0x50, at + 1)) {
    const signature = view.getUint32(at, true);
    const widths = layouts.get(signature);
    if (widths) found.push({ at, signature, widths });
  }
  return found;
}

/** The entries by the directory; `undefined` where the archive is broken already. */
function entriesOf(bytes: Uint8Array): ZipEntry[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const entries = headersOf(bytes)
      .filter(({ signature }) => signature === CENTRAL)
      .map(({ at }): ZipEntry => {
        const name = new TextDecoder().decode(bytes.slice(at + 46, at + 46 + view.getUint16(at + 28, true)));
        const local = view.getUint32(at + 42, true);
        const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
        const data = bytes.slice(start, start + view.getUint32(at + 20, true));
        return {
          name,
          data: view.getUint16(at + 10, true) === 8 ? new Uint8Array(inflateRawSync(data)) : data,
        };
      });
    return entries.length > 0 ? entries : undefined;
  } catch {
    return undefined;
  }
}
