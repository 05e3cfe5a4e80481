import type { ByteSource } from '../../io/bytes.ts';
import { codedWeight } from '../block-coding.ts';
import { readAt, streamTensor } from '../stream-tensor.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import type { Weight } from '../weight.ts';
import { type GgufTensor, readGgufHeader } from './gguf-header.ts';

/** The tensors of a GGUF file, under the names that they have there. Throws as `readGgufHeader` does. */
export async function readGguf(source: ByteSource): Promise<TensorsOfFile> {
  const { metadata, tensors } = await readGgufHeader(source);
  return { metadata, weights: new Map(tensors.map((tensor) => [tensor.name, weightOf(tensor, source)])) };
}

function weightOf({ name, type: { as }, shape, offset }: GgufTensor, source: ByteSource): Weight {
  const file = source.name;
  if (typeof as !== 'string') return codedWeight({ name, shape, file, coding: as, source, offset });
  const tensor = { name, dtype: as, shape, file };
  const read = readAt(source, offset, as);
  return { ...tensor, stream: (to) => streamTensor({ ...tensor, read }, to) };
}
