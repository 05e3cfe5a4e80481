import type { Graph } from '../graph/graph.ts';
import { copyInto, rewrite } from '../graph/rewrite.ts';
import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { blockConverter } from '../weights/convert-dtype.ts';
import { byteSize, byteWidth, elementCount } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { FloatTensor } from './float-tensor.ts';
import { LinearWeight } from './linear.ts';
import type { PaletteBits, WeightError } from './palette/palette.ts';
import { PalettizedWeight } from './palette/palettized-weight.ts';
import { ScaledPaletteWeight } from './palette/scaled-palette.ts';
import { plainName } from './plan.ts';

/**
 * What an existing model's quantised weights lost on purpose: their forms are read from it, and a checkpoint's weights are
 * given the same. A model that is compared with such a reference is judged by all else: its graph, its arithmetic, its bytes.
 */

/** Form of a stored weight, by the shapes of what is stored. */
export type StoredForm = StoredPalette | StoredLinear;

interface StoredPalette {
  readonly kind: 'palette';
  readonly bits: PaletteBits;
  /** Number of palettes; each serves an equal stretch of the elements. */
  readonly groups: number;
  /** Whether the palettes themselves have 8 bits. */
  readonly int8Palette: boolean;
  /** The weight's shape and the axis of the channels that are scaled first, where they are. */
  readonly scaled?: { readonly shape: readonly number[]; readonly axis: number } | undefined;
}

interface StoredLinear {
  readonly kind: 'linear';
  readonly bits: 4 | 8;
  readonly symmetric: boolean;
  readonly shape: readonly number[];
  /** Elements that share a scale, along each axis. */
  readonly blockShape: readonly number[];
  /** Dtype of the scales. */
  readonly dtype: 'f16' | 'f32';
  /** Whether numbers and zero points are scaled apart, as Core AI's runtime does with whole bytes. */
  readonly scalesApart?: boolean | undefined;
}

/** Forms by the names of weights as `plainName` gives them. */
export type StoredForms = ReadonlyMap<string, StoredForm>;

/** The graph with its weights restored from these forms; `undefined` where a form is of no weight of the graph. */
export function withStoredForms(graph: Graph, forms: StoredForms): Graph | undefined {
  let found = 0;
  const restoring = rewrite(graph, (builder, tensor, inputs) => {
    const { op } = tensor;
    const form = op.kind === 'weight' && forms.get(plainName(op.weight.name));
    if (op.kind !== 'weight' || !form || !fits(op.weight, form)) return copyInto(builder, tensor, inputs);
    found++;
    return builder.weight(restored(op.weight, form), tensor);
  });
  return found === forms.size ? restoring : undefined;
}

/**
 * Whether a form, which may be read from anybody's file, can be that of a weight. A convolution of 1×1 may be stored for a
 * matrix.
 */
function fits({ shape }: Weight, form: StoredForm): boolean {
  const isWhole = (size: number): boolean => Number.isInteger(size) && size > 0;
  const squeezed = (sizes: readonly number[]) => sizes.filter((size) => size !== 1).join();
  if (form.kind === 'linear')
    return form.blockShape.every(isWhole) && squeezed(shape) === squeezed(form.shape);
  const { groups, scaled } = form;
  const isCut = isWhole(groups) && elementCount(shape) % groups === 0;
  return isCut && (!scaled || squeezed(shape) === squeezed(scaled.shape));
}

/** A weight as it comes back from a form: what quantising it gives, as float32. Throws as quantising does. */
function restored(weight: Weight, form: StoredForm): Weight {
  return {
    ...weight,
    dtype: 'f32',
    async *stream(dtype) {
      const convert = blockConverter('f32', dtype);
      if (!convert) throw new Error(`${weight.name} does not become ${dtype}`);
      const into = borrowBlock();
      try {
        for await (const values of quantized(weight, form).values()) {
          const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
          const converted = into.subarray(0, values.length * byteWidth(dtype));
          convert(bytes, converted);
          yield converted;
        }
      } finally {
        returnBlocks(into);
      }
    },
  };
}

/** What a weight loses in a form: Σ(w − ŵ)² and Σw² of its elements; `undefined` for a form of another weight. Throws as quantising does. */
export async function errorIn(weight: Weight, form: StoredForm): Promise<WeightError | undefined> {
  return fits(weight, form) ? quantized(weight, form).error() : undefined;
}

function quantized(
  weight: Weight,
  form: StoredForm,
): { values(): AsyncGenerator<Float32Array>; error(): Promise<WeightError> } {
  if (form.kind === 'linear') return new LinearWeight(tensorOf(weight, form), form);
  const { bits, groups, int8Palette, scaled } = form;
  if (scaled)
    return new ScaledPaletteWeight(tensorOf(weight, { ...scaled, dtype: 'f16' }), scaled.axis, bits);
  const storage = int8Palette ? 'int8' : 'float16';
  const tensor = tensorOf(weight, { shape: weight.shape, dtype: 'f16' });
  return new PalettizedWeight(tensor, { bits, groups, storage });
}

function tensorOf(
  { name, stream }: Weight,
  { shape, dtype }: { readonly shape: readonly number[]; readonly dtype: 'f16' | 'f32' },
): FloatTensor {
  return { name, dtype, shape, byteLength: byteSize(shape, dtype), stream: () => stream(dtype) };
}
