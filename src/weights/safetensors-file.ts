import { UnsupportedModelError } from '../errors.ts';
import { borrowBlock, returnBlocks } from './block-pool.ts';
import { BLOCK_BYTES, type ByteSource } from './bytes.ts';
import { blockConverter } from './convert-dtype.ts';
import { openFile } from './disk.ts';
import { byteWidth, type DType, elementCount } from './dtype.ts';
import { readSafetensorsHeader, type TensorEntry } from './safetensors-header.ts';
import type { Weight } from './weight.ts';

/** An open safetensors file: its header is in memory, its tensors are streamed on request. */
export interface SafetensorsFile {
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Every tensor by name, in the order of the data, so that reading them in turn reads the file from start to end. */
  readonly weights: ReadonlyMap<string, Weight>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header. Throws `NotFoundError`, `FileFormatError` with what the file really
 * is, or `UnsupportedModelError` for 8-bit floats.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const source = await openFile(path);
  try {
    const { metadata, entries } = await readSafetensorsHeader(source);
    const weights = new Map([...entries].map(([name, entry]) => [name, weightOf(entry, source)]));
    return { path, size: source.size, metadata, weights, close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function weightOf(entry: TensorEntry, source: ByteSource): Weight {
  const { name, dtype, shape } = entry;
  return { name, dtype, shape, file: source.name, stream: (to) => streamEntry(entry, source, to) };
}

async function* streamEntry(entry: TensorEntry, source: ByteSource, to: DType): AsyncGenerator<Uint8Array> {
  const from = entry.dtype;
  const convert = blockConverter(from, to);
  if (!convert) throw notConvertible(entry, source.name, to);

  const elements = elementCount(entry.shape);
  const perBlock = BLOCK_BYTES / Math.max(byteWidth(from), byteWidth(to));
  const input = borrowBlock();
  const output = from === to ? input : borrowBlock();
  try {
    for (let first = 0; first < elements; first += perBlock) {
      const size = Math.min(perBlock, elements - first);
      const block = input.subarray(0, size * byteWidth(from));
      await source.read(block, entry.offset + first * byteWidth(from));
      const converted = output.subarray(0, size * byteWidth(to));
      if (from !== to) convert(block, converted);
      yield converted;
    }
  } finally {
    returnBlocks(...new Set([input, output]));
  }
}

function notConvertible({ name, dtype }: TensorEntry, file: string, to: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name} is stored as ${dtype}, which does not convert to ${to}.`,
    details: { file },
    advice: 'Use a version of the model whose weights are float16, bfloat16 or float32.',
  });
}
