import { paletteBits } from '../../../quantize/palette/palette.ts';
import { plainName } from '../../../quantize/plan.ts';
import type { StoredForm, StoredForms } from '../../../quantize/stored-form.ts';
import {
  blockConstants,
  immediateElements,
  type MilTensorType,
  parameterValue,
  tensorTypeOf,
} from '../mil/mil-program.ts';
import type { Block, Operation } from '../mil/mil-schema.ts';
import { isDecoder } from '../to-onnx/decode-constant.ts';

/** The forms of a program's quantised weights: see `compressed-forms.ts`. Sparse weights and palettes of vectors are left out. */
export function readMilForms(block: Block): StoredForms {
  const constants = blockConstants(block);
  const decoders = new Map(
    block.operations.filter(isDecoder).map((operation) => [operation.outputs[0]?.name ?? '', operation]),
  );
  const typesOf = (operation: Operation) => (parameter: string) =>
    tensorTypeOf(parameterValue(operation, parameter, constants)?.type ?? null);
  const forms = new Map<string, StoredForm>();
  const inner = new Set<string>();
  for (const [name, operation] of decoders) {
    const from = sourceOf(operation);
    const source = decoders.get(from);
    if (source) inner.add(from);
    const form = formOf(
      { operation, type: typesOf(operation) },
      source && { operation: source, type: typesOf(source) },
    );
    if (form) forms.set(name, form);
  }
  for (const name of inner) forms.delete(name);
  return new Map([...forms].map(([name, form]) => [plainName(name), form]));
}

/** The value that is decoded once more: a palette stored in 8 bits, palettized numbers that are scaled. */
function sourceOf({ type, inputs }: Operation): string {
  const parameter = type === 'constexpr_lut_to_dense' ? 'lut' : 'data';
  return inputs[parameter]?.arguments[0]?.name ?? '';
}

/** An operation, and the types of its constant parameters. */
interface Decoder {
  readonly operation: Operation;
  readonly type: (parameter: string) => MilTensorType | undefined;
}

function formOf({ operation, type }: Decoder, source: Decoder | undefined): StoredForm | undefined {
  switch (operation.type) {
    case 'constexpr_lut_to_dense':
      return paletteForm(type('lut') ?? source?.type('data'), source !== undefined);
    case 'constexpr_affine_dequantize':
      return affine(operation, type('quantized_data'), type('scale'));
    case 'constexpr_blockwise_shift_scale':
      return source ? scaledPalette(source, type('scale')) : blockwise(type('data'), type('scale'));
    default:
      return undefined;
  }
}

/** The entries are all of a vector's, or (since iOS 18) lie along the last axis but one; before it, one for each palette. */
function paletteForm(lut: MilTensorType | undefined, int8Palette: boolean): StoredForm | undefined {
  const shape = shapeOf(lut);
  const entries = shape.length === 1 ? shape[0] : shape.at(-1) === 1 ? shape.at(-2) : undefined;
  const bits = paletteBits.find((each) => 2 ** each === entries);
  const groups = shape.slice(0, -2);
  // Palettes along other axes are not of equal stretches.
  const isPlain = groups.every((count, axis) => axis === 0 || count === 1);
  return bits && isPlain ? { kind: 'palette', bits, groups: groups[0] ?? 1, int8Palette } : undefined;
}

function scaledPalette(palette: Decoder, scale: MilTensorType | undefined): StoredForm | undefined {
  const form = formOf(palette, undefined);
  const shape = shapeOf(tensorTypeOf(palette.operation.outputs[0]?.type ?? null));
  const axis = Math.max(
    0,
    shapeOf(scale).findIndex((size) => size > 1),
  );
  return form?.kind === 'palette' ? { ...form, scaled: { shape, axis } } : undefined;
}

function affine(
  { attributes: { axis } }: Operation,
  data: MilTensorType | undefined,
  scale: MilTensorType | undefined,
): StoredForm | undefined {
  const shape = shapeOf(data);
  const at = Number((axis && immediateElements(axis)?.[0]) ?? 0);
  const isPerChannel = shapeOf(scale).length > 0;
  return linear(
    data,
    scale,
    shape.map((size, each) => (isPerChannel && each === at ? 1 : size)),
  );
}

function blockwise(data: MilTensorType | undefined, scale: MilTensorType | undefined) {
  const scales = shapeOf(scale);
  return linear(
    data,
    scale,
    shapeOf(data).map((size, axis) => size / (scales[axis] ?? 1)),
  );
}

function linear(
  data: MilTensorType | undefined,
  scale: MilTensorType | undefined,
  blockShape: readonly number[],
): StoredForm | undefined {
  const [, unsigned, width] = /^(u?)int(4|8)$/.exec(data?.dtype ?? '') ?? [];
  if (width === undefined) return undefined;
  return {
    kind: 'linear',
    bits: width === '4' ? 4 : 8,
    symmetric: unsigned === '',
    shape: shapeOf(data),
    blockShape,
    dtype: scale?.dtype === 'fp16' ? 'f16' : 'f32',
  };
}

function shapeOf(type: MilTensorType | undefined): number[] {
  return (type?.shape ?? []).map((size) => size ?? 0);
}
