import { z } from 'zod';
import { RequestError } from '../errors.ts';
import type { ByteSink } from '../io/bytes.ts';
import { anything, checkArguments, list, text } from '../io/check-call.ts';
import { writeFile } from '../io/disk.ts';
import { byteSize, type DType, elementCount } from './dtype.ts';
import { LENGTH_BYTES, safetensorsDTypes } from './safetensors-header.ts';
import { bytesOf, type TensorData } from './tensor-data.ts';
import type { Weight } from './weight.ts';

/** A tensor to write: whole in memory, or one that streams (a `Weight` does). */
export type NamedTensor =
  | ({ readonly name: string } & TensorData)
  | Pick<Weight, 'name' | 'dtype' | 'shape' | 'stream'>;

const namedTensors = z.array(
  anything(
    'a tensor: name, dtype, shape, and data or stream',
    (value) =>
      typeof Reflect.get(value, 'name') === 'string' &&
      Array.isArray(Reflect.get(value, 'shape')) &&
      ('data' in value || 'stream' in value),
  ),
);

/**
 * Writes a safetensors file, one block in memory at a time; it appears complete or not at all. Tensors are ordered as
 * the reference implementation orders them (wide dtypes first, so that each is aligned; then by name), whatever order
 * they come in. Throws `RequestError` for what is no list of tensors, a name that is taken twice or reserved, a
 * dtype that there is not and elements that do not fill the shape, and what `createFile` throws.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkArguments('writeSafetensors', {
    path: [path, text],
    tensors: [tensors, list],
    metadata: [metadata, z.record(z.string(), z.string())],
  });
  const given = [...tensors];
  checkArguments('writeSafetensors', { tensors: [given, namedTensors] });
  const ordered = given.sort(byAlignmentThenName);
  checkTensors(path, ordered);
  const header = encodeHeader(ordered, metadata);
  await writeFile(path, async (sink) => {
    await sink.write(header, 0);
    let offset = header.length;
    for (const tensor of ordered) offset = await writeTensor(sink, offset, tensor);
  });
}

function encodeHeader(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape }): [string, unknown] => {
    const begin = end;
    end += byteSize(shape, dtype);
    return [name, { dtype: spellings[dtype], shape, data_offsets: [begin, end] }];
  });
  if (Object.keys(metadata).length > 0) entries.unshift(['__metadata__', metadata]);
  const fields = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);

  const length = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20 /* the padding is spaces */);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

async function writeTensor(sink: ByteSink, begin: number, tensor: NamedTensor): Promise<number> {
  let offset = begin;
  for await (const block of 'data' in tensor ? [bytesOf(tensor)] : tensor.stream(tensor.dtype)) {
    await sink.write(block, offset);
    offset += block.length;
  }
  const expected = byteSize(tensor.shape, tensor.dtype);
  if (offset - begin !== expected) {
    throw new Error(
      `${tensor.name}: ${offset - begin} bytes for ${tensor.dtype} [${tensor.shape}], not ${expected}`,
    );
  }
  return offset;
}

function checkTensors(path: string, tensors: readonly NamedTensor[]): void {
  const names = new Set(['__metadata__']);
  for (const { name, dtype, shape, ...rest } of tensors) {
    if (!(dtype in spellings)) {
      throw new RequestError({
        problem: `${name} cannot be written: there is no dtype ${dtype}.`,
        advice: `The dtypes are spelled ${Object.keys(spellings).join(', ')}.`,
      });
    }
    const found = 'data' in rest ? rest.data.length : elementCount(shape);
    if (found !== elementCount(shape)) {
      throw new RequestError({
        problem: `${name} cannot be written: its shape [${shape.join(', ')}] has ${elementCount(shape)} elements, its data ${found}.`,
      });
    }
    if (names.has(name)) {
      throw new RequestError({ problem: `${path} cannot hold two tensors named ${JSON.stringify(name)}.` });
    }
    names.add(name);
  }
}

function byAlignmentThenName(a: NamedTensor, b: NamedTensor): number {
  return ranks.indexOf(b.dtype) - ranks.indexOf(a.dtype) || (a.name < b.name ? -1 : 1);
}

const ranks: readonly DType[] = Object.values(safetensorsDTypes);

const spellings: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(safetensorsDTypes).map(([spelling, dtype]) => [dtype, spelling]),
);
