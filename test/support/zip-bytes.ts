/** An entry of a zip archive that is written by hand; what is not given is as it should be. */
export interface ZipEntry {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
  /** The size that the directory says. */
  readonly size?: number;
  /** The header that the directory points to. */
  readonly at?: number;
  /** Whether the directory gives the sizes in 8 bytes. */
  readonly zip64?: boolean;
}

/** A zip archive, right or wrong (APPNOTE.TXT 4.3). */
export function zipOf(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const {
    name,
    data,
    method = 0,
    flags = 0,
    size = data.length,
    at = offset,
    zip64 = false,
  } of entries) {
    const path = new TextEncoder().encode(name);
    const common = (view: DataView, start: number) => {
      view.setUint16(start, 20, true);
      view.setUint16(start + 2, flags, true);
      view.setUint16(start + 4, method, true);
      view.setUint32(start + 14, size, true);
      view.setUint32(start + 18, size, true);
      view.setUint16(start + 22, path.length, true);
    };
    const local = new DataView(new ArrayBuffer(30));
    local.setUint32(0, 0x04034b50, true);
    common(local, 4);
    const central = new DataView(new ArrayBuffer(46));
    central.setUint32(0, 0x02014b50, true);
    common(central, 6);
    central.setUint32(42, at, true);
    const extra = new DataView(new ArrayBuffer(zip64 ? 20 : 0));
    if (zip64) {
      central.setUint32(20, 0xffffffff, true);
      central.setUint32(24, 0xffffffff, true);
      central.setUint16(30, extra.byteLength, true);
      extra.setUint16(0, 1, true);
      extra.setUint16(2, 16, true);
      extra.setBigUint64(4, BigInt(size), true);
      extra.setBigUint64(12, BigInt(size), true);
    }
    parts.push(new Uint8Array(local.buffer), path, data);
    directory.push(new Uint8Array(central.buffer), path, new Uint8Array(extra.buffer));
    offset += 30 + path.length + data.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, sizeOf(directory), true);
  end.setUint32(16, offset, true);
  return joined([...parts, ...directory, new Uint8Array(end.buffer)]);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(sizeOf(parts));
  let filled = 0;
  for (const part of parts) {
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
