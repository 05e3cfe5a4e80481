import { RequestError } from '../../../errors.ts';
import type { FloatTensor } from '../../../quantize/float-tensor.ts';
import { LinearWeight } from '../../../quantize/linear.ts';
import { packedSize } from '../../../quantize/palette/pack-indices.ts';
import type { WeightError } from '../../../quantize/palette/palette.ts';
import { type PalettizedWeight, palettize } from '../../../quantize/palette/palettized-weight.ts';
import { ScaledPaletteWeight } from '../../../quantize/palette/scaled-palette.ts';
import type { LinearForm, PaletteForm, QuantizableWeight, WeightForm } from '../../../quantize/plan.ts';
import { float16Bits } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import type { MilDType } from '../mil/mil-dtype.ts';
import type { Operation, Value } from '../mil/mil-schema.ts';
import { immediate, int32, namedType, packedByteSize, streamed, text } from '../mil/mil-value.ts';

/**
 * The forms in which Core ML stores quantised weights: `constexpr_…` operations, which the system undoes when it loads a
 * model or while it runs (coremltools, ops/defs/iOS16/constexpr_ops.py and iOS18/compression.py). Until iOS 17 their parts
 * are attributes and indices are packed into bytes; since iOS 18 they are parameters, with types narrower than a byte,
 * and palettes and scales may belong to blocks of a weight.
 */
export interface CompressedForm {
  /** Operations that compute the weight, the last one under its name; stored tensors stream. */
  readonly operations: readonly Operation[];
  error(): Promise<WeightError>;
}

/** The weight that is quantised: a constant of a program. */
export interface MilWeight extends QuantizableWeight {
  readonly dtype: 'fp16' | 'fp32';
  readonly tensor: FloatTensor;
  /** A name for a value that is needed besides. */
  readonly claim: (wish: string) => string;
}

/** A weight in a form, whose groups divide its channels, for the operations of an iOS version. Throws `RequestError` for forms that this version does not have. */
export function compressedForm(weight: MilWeight, form: WeightForm, ios: number): CompressedForm {
  if (form.kind === 'linear') return ios < 18 ? affine(weight, form) : blockwise(weight, form);
  if (ios < 18) return packedPalette(weight, form);
  return form.channelScales ? scaledPalette(weight, form) : groupedPalettes(weight, form);
}

function packedPalette(
  weight: MilWeight,
  { bits, groupSize, int8Palette, channelScales }: PaletteForm,
): CompressedForm {
  if (bits === 3) throw needsIos18('palettes of 3 bits');
  if (groupSize !== undefined) throw needsIos18('palettes for groups of channels');
  if (int8Palette) throw needsIos18('palettes stored in 8 bits');
  if (channelScales) throw needsIos18('palettes for scaled channels');
  const { shape, dtype } = weight;
  const palettized = palettize(weight.tensor, { bits, groups: 1 });
  const packed = [packedSize(elementCount(shape), bits)];
  const prepare = () => palettized.prepare();
  const attributes = {
    indices: part(weight, 'indices', 'uint8', packed, () => palettized.indices(), prepare),
    lut: part(weight, 'lut', dtype, [2 ** bits], () => entries(palettized, dtype)),
    shape: immediate({ dtype: 'uint32', shape: [shape.length], data: shape }),
  };
  const operations = [operation('constexpr_lut_to_dense', weight, attributes)];
  return { operations, error: () => palettized.error() };
}

function groupedPalettes(weight: MilWeight, { bits, groupSize, int8Palette }: PaletteForm): CompressedForm {
  const groups = groupSize ? (weight.shape[0] ?? 1) / groupSize : 1;
  const perAxis = weight.shape.map((_, axis) => (axis === 0 ? groups : 1));
  const palettized = palettize(weight.tensor, {
    bits,
    groups,
    storage: int8Palette ? 'int8' : 'float16',
  });
  const lutShape = [...perAxis, 2 ** bits, 1];
  const prepare = () => palettized.prepare();
  const indices = part(weight, 'indices', `uint${bits}`, weight.shape, () => palettized.indices(), prepare);
  const error = () => palettized.error();
  if (!int8Palette) {
    const lut = part(weight, 'lut', weight.dtype, lutShape, () => entries(palettized, weight.dtype));
    return { operations: [operation('constexpr_lut_to_dense', weight, {}, { indices, lut })], error };
  }
  const palette = { ...weight, name: weight.claim(`${weight.name}_palette`), shape: lutShape };
  const data = part(weight, 'data', 'int8', lutShape, () => wholeEntries(palettized));
  const scale = part(weight, 'scale', weight.dtype, [...perAxis, 1, 1], () =>
    paletteScales(palettized, weight.dtype),
  );
  const operations = [
    operation('constexpr_blockwise_shift_scale', palette, {}, { data, scale }),
    operation('constexpr_lut_to_dense', weight, {}, { indices, lut: palette.name }),
  ];
  return { operations, error };
}

/** The palette's numbers first, then their channels' scales: the order in which coremltools chains these operations. */
function scaledPalette(weight: MilWeight, { bits }: PaletteForm): CompressedForm {
  const scaled = new ScaledPaletteWeight(weight.tensor, weight.outputAxis, bits);
  const { palettized } = scaled;
  const ones = weight.shape.map(() => 1);
  const perChannel = ones.with(weight.outputAxis, weight.shape[weight.outputAxis] ?? 1);
  const unscaled = { ...weight, name: weight.claim(`${weight.name}_unscaled`) };
  const indices = part(weight, 'indices', `uint${bits}`, weight.shape, () => palettized.indices());
  const lut = part(weight, 'lut', weight.dtype, [...ones, 2 ** bits, 1], () =>
    entries(palettized, weight.dtype),
  );
  const scale = part(weight, 'scale', weight.dtype, perChannel, () =>
    once(scaled.scales().then((scales) => fractions(scales, weight.dtype))),
  );
  const operations = [
    operation('constexpr_lut_to_dense', unscaled, {}, { indices, lut }),
    operation('constexpr_blockwise_shift_scale', weight, {}, { data: unscaled.name, scale }),
  ];
  return { operations, error: () => scaled.error() };
}

function affine(weight: MilWeight, form: LinearForm): CompressedForm {
  if (form.bits === 4) throw needsIos18('linear quantisation to 4 bits');
  if (form.blockSize !== undefined) throw needsIos18('scales for blocks of channels');
  const linear = linearWeight(weight, form);
  const dtype = form.symmetric ? 'int8' : 'uint8';
  const channels = [weight.shape[weight.outputAxis] ?? 1];
  const attributes = {
    quantized_data: part(weight, 'quantized_data', dtype, weight.shape, () => linear.data()),
    zero_point: part(weight, 'zero_point', dtype, channels, () => once(linear.zeros())),
    scale: part(weight, 'scale', weight.dtype, channels, () => once(linear.scales())),
    axis: immediate(int32(weight.outputAxis)),
  };
  const operations = [operation('constexpr_affine_dequantize', weight, attributes)];
  return { operations, error: () => linear.error() };
}

function blockwise(weight: MilWeight, form: LinearForm): CompressedForm {
  const linear = linearWeight(weight, form);
  const { blockCounts } = linear;
  const dtype: MilDType = form.symmetric ? `int${form.bits}` : `uint${form.bits}`;
  const parameters = {
    data: part(weight, 'data', dtype, weight.shape, () => linear.data()),
    scale: part(weight, 'scale', weight.dtype, blockCounts, () => once(linear.scales())),
    ...(form.symmetric
      ? {}
      : { offset: part(weight, 'offset', dtype, blockCounts, () => once(linear.zeros())) }),
  };
  const operations = [operation('constexpr_blockwise_shift_scale', weight, {}, parameters)];
  return { operations, error: () => linear.error() };
}

/** Makes a stored tensor of a weight. */
function part(
  { name }: MilWeight,
  key: string,
  dtype: MilDType,
  shape: readonly number[],
  stream: TensorStream['stream'],
  prepare?: () => void,
): Value {
  const byteLength = packedByteSize(dtype, shape);
  return streamed(dtype, shape, { name: `${name}, ${key}`, byteLength, stream, ...(prepare && { prepare }) });
}

function linearWeight({ tensor, shape, dtype, ...axes }: MilWeight, form: LinearForm): LinearWeight {
  const { outputAxis, inputAxis } = axes;
  const blockSize = form.blockSize ?? shape[inputAxis] ?? 1;
  const blockShape = shape.map((size, axis) =>
    axis === outputAxis ? 1 : axis === inputAxis ? blockSize : size,
  );
  return new LinearWeight(tensor, {
    bits: form.bits,
    symmetric: form.symmetric,
    blockShape,
    dtype: dtype === 'fp16' ? 'f16' : 'f32',
  });
}

async function* entries(palettized: PalettizedWeight, dtype: 'fp16' | 'fp32'): AsyncGenerator<Uint8Array> {
  for (const palette of await palettized.palettes()) yield fractions(palette.entries, dtype);
}

async function* wholeEntries(palettized: PalettizedWeight): AsyncGenerator<Uint8Array> {
  for (const palette of await palettized.palettes()) {
    const whole = Int8Array.from(palette.entries, (entry) => Math.round(entry / palette.scale));
    yield new Uint8Array(whole.buffer);
  }
}

async function* paletteScales(
  palettized: PalettizedWeight,
  dtype: 'fp16' | 'fp32',
): AsyncGenerator<Uint8Array> {
  const scales = (await palettized.palettes()).map(({ scale }) => scale);
  yield fractions(scales, dtype);
}

async function* once(bytes: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await bytes;
}

function fractions(values: ArrayLike<number>, dtype: 'fp16' | 'fp32'): Uint8Array {
  const stored = dtype === 'fp16' ? Uint16Array.from(values, float16Bits) : Float32Array.from(values);
  return new Uint8Array(stored.buffer);
}

/** An operation with its parts as attributes, as until iOS 17, or as parameters, as since iOS 18. */
function operation(
  type: string,
  { name, dtype, shape }: Pick<MilWeight, 'name' | 'dtype' | 'shape'>,
  attributes: Readonly<Record<string, Value>>,
  parameters: Readonly<Record<string, Value | string>> = {},
): Operation {
  const inputs = Object.fromEntries(
    Object.entries(parameters).map(([key, bound]) => [
      key,
      { arguments: [typeof bound === 'string' ? { name: bound } : { value: bound }] },
    ]),
  );
  return {
    type,
    inputs,
    outputs: [namedType(name, dtype, shape)],
    blocks: [],
    attributes: { name: immediate(text(name)), ...attributes },
  };
}

function needsIos18(what: string): RequestError {
  return new RequestError({
    problem: `Core ML has ${what} only since macOS 15 and iOS 18.`,
    advice: 'Convert with --min-deployment-target macOS15, or choose another form.',
  });
}
