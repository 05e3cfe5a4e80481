import { dtypeName } from '../../../weights/dtype.ts';
import type { StoredWeight } from '../../../weights/weight-groups.ts';
import { milElement } from '../mil/mil-dtype.ts';
import { operationValues, tensorElements, tensorTypeOf } from '../mil/mil-program.ts';
import type { Block, Operation, Value } from '../mil/mil-schema.ts';
import type { WeightFiles } from './weight-blobs.ts';

/**
 * Lists the weights of an ML Program as they are stored: constants in a weight file, and the results of `constexpr_…`
 * operations. Shared bytes are counted once.
 */
export function* milWeights({ operations }: Block, files: WeightFiles): Generator<StoredWeight> {
  const seen = new Set<string>();
  for (const operation of operations) {
    const values = new Map(operationValues(operation));
    const blobs = [...values.values()].flatMap(({ blobFileValue }) => blobFileValue ?? []);
    if (blobs.length === 0) continue;
    let byteLength = 0;
    for (const blob of blobs) {
      const key = `${blob.offset} ${blob.fileName}`;
      if (!seen.has(key)) byteLength += files.find(blob).byteLength;
      seen.add(key);
    }
    const type = tensorTypeOf(operation.outputs[0]?.type ?? null);
    yield { ...howStored(operation, values), parameters: type ? tensorElements(type) : 0, byteLength };
  }
}

/** Storage of an operation's weights, and the bits of one element. */
function howStored({ type }: Operation, values: ReadonlyMap<string, Value>) {
  switch (type) {
    case 'const':
      return element(values.get('val'));
    case 'constexpr_lut_to_dense': {
      const lut = values.get('lut');
      // The palette may itself be the result of an operation; the declared width of the indices tells the bits then.
      if (!lut) {
        const { bits } = element(values.get('indices'));
        return { stored: `${bits}-bit palette`, bits };
      }
      // The entries are all of a vector's, or (from iOS 18 on) lie along the last axis but one.
      const shape = tensorTypeOf(lut.type)?.shape ?? [];
      const bits = Math.log2((shape.length === 1 ? shape[0] : shape.at(-2)) ?? 1);
      return { stored: `${bits}-bit palette`, bits };
    }
    case 'constexpr_affine_dequantize':
      return scaled(element(values.get('quantized_data')));
    case 'constexpr_blockwise_shift_scale':
      return scaled(element(values.get('data')));
    default: {
      const { bits } = element(values.get('nonzero_data'));
      return { stored: type.replace('constexpr_', '').replaceAll('_', ' '), bits };
    }
  }
}

function scaled({ stored, bits }: { stored: string; bits: number }) {
  return { stored: `${stored} scaled`, bits };
}

function element(value: Value | undefined) {
  const type = tensorTypeOf(value?.type ?? null);
  return type
    ? { stored: dtypeName(type.dtype), bits: milElement(type.dtype).bits }
    : { stored: 'unknown', bits: 0 };
}
