import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { checkArguments, number } from '../io/check-call.ts';
import { type PaletteBits, paletteBits } from './palette/palette.ts';

/**
 * Chooses the quantised form of each weight. Only the large weights of layers are quantised: matrices and convolutions of
 * more than 2,048 elements, as Apple's tool does; never embeddings, position tables, masks, norms or biases, which are small
 * and affect every later operation.
 */

/** A weight that can be quantised, as the model that holds it has it. */
export interface QuantizableWeight {
  /** Its name in the file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Axis of the output channels. */
  readonly outputAxis: number;
  /** Axis of the input channels. */
  readonly inputAxis: number;
}

/** Numbers out of a palette: each element is an index into 2^bits entries. */
export interface PaletteForm {
  readonly kind: 'palette';
  readonly bits: PaletteBits;
  /** Output channels that share a palette; all of them when left out. */
  readonly groupSize?: number | undefined;
  /** Whether the palette itself is stored in 8 bits, which the Neural Engine can compute with. */
  readonly int8Palette?: boolean | undefined;
  /** Whether each output channel is scaled to −1 … 1 before. */
  readonly channelScales?: boolean | undefined;
}

/** Whole numbers times a scale. */
export interface LinearForm {
  readonly kind: 'linear';
  readonly bits: 4 | 8;
  /** Whether zero is the middle of the range; else the range is where the weights are. */
  readonly symmetric: boolean;
  /** Input channels that share a scale; all of an output channel's when left out. */
  readonly blockSize?: number | undefined;
  /** ONNX: whether matrices are multiplied as they are, by com.microsoft's MatMulNBits. */
  readonly matMulNBits?: boolean | undefined;
}

export type WeightForm = PaletteForm | LinearForm;

/** Decides the quantised form of a weight; `undefined` leaves it as it is. */
export type QuantizationPlan = (weight: QuantizableWeight) => WeightForm | undefined;

/** The ways of quantising. */
export const quantizationModes = ['palette', 'linear', 'linear-symmetric'] as const;

export type QuantizationMode = (typeof quantizationModes)[number];

/** Options of quantising a model. */
export interface QuantizationOptions {
  /** Bits per element: 1, 2, 3, 4, 6 or 8 for palettes, 4 or 8 for linear modes. */
  readonly bits: number;
  /** `palette` when left out. */
  readonly mode?: QuantizationMode | undefined;
  /** Palettes: how many output channels share one. Linear modes: how many input channels share a scale. */
  readonly groupSize?: number | undefined;
  /** Only weights whose names match one of these; `*` stands for anything. */
  readonly weights?: readonly string[] | undefined;
  /** No weights whose names match one of these. */
  readonly skipWeights?: readonly string[] | undefined;
  /** Core ML from iOS 18 on: store the palettes themselves in 8 bits. */
  readonly int8Palette?: boolean | undefined;
  /** Core ML from iOS 18 on: scale each output channel to −1 … 1 before it is palettized. */
  readonly channelScales?: boolean | undefined;
  /** ONNX, linear, 4 bits: multiply matrices as they are with com.microsoft's MatMulNBits, for runtimes with WebGPU. */
  readonly matMulNBits?: boolean | undefined;
}

/** Fewer elements than this are not worth a palette (coremltools' `weight_threshold`). */
export const FEWEST_ELEMENTS = 2048;

/** The plan that treats all weights alike. Throws `RequestError` for options that no weight can have. */
export function planQuantization(options: QuantizationOptions): QuantizationPlan {
  checkArguments('planQuantization', { options: [options, z.looseObject({ bits: number })] });
  const form = formOf(options);
  const { weights = ['*'], skipWeights = [] } = options;
  return ({ name }) =>
    weights.some((pattern) => matchesWeight(pattern, name)) &&
    !skipWeights.some((pattern) => matchesWeight(pattern, name))
      ? form
      : undefined;
}

/**
 * Whether a pattern matches a weight's name. `*` matches anything; dots, dashes and underlines are alike, and converters'
 * suffixes (`_to_fp16`, `_palettized`) are ignored, so that one pattern fits a checkpoint's names and Core ML's.
 */
export function matchesWeight(pattern: string, name: string): boolean {
  const [start = '', ...rest] = plainName(pattern, '*').split('*');
  const text = plainName(name);
  const end = rest.pop();
  if (end === undefined) return text === start;
  if (!text.startsWith(start) || !text.endsWith(end)) return false;
  // The earliest place for each piece leaves the most room for the others: no other place need be tried.
  let at = start.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - end.length;
}

/** A weight's name as it can be compared between formats. */
export function plainName(name: string, kept = ''): string {
  return withoutSuffixes(name).replaceAll(new RegExp(`[^A-Za-z0-9${kept}]`, 'g'), '_');
}

const suffixes = ['_to_fp16', '_to_fp32', '_palettized', '_quantized'];

function withoutSuffixes(name: string): string {
  let end = name.length;
  for (;;) {
    const suffix = suffixes.find((each) => name.endsWith(each, end));
    if (suffix === undefined) return name.slice(0, end);
    end -= suffix.length;
  }
}

function formOf({
  bits,
  mode = 'palette',
  groupSize,
  int8Palette,
  channelScales,
  matMulNBits,
}: QuantizationOptions): WeightForm {
  if (groupSize !== undefined && !(Number.isInteger(groupSize) && groupSize > 0))
    throw impossible(`a group size of ${groupSize}`, 'Name a whole number of channels, such as 16.');
  if (mode === 'palette') {
    const width = paletteBits.find((each) => each === bits);
    if (!width)
      throw impossible(`a palette of ${bits} bits`, `Choose one of ${paletteBits.join(', ')} bits.`);
    if (matMulNBits) throw impossible('MatMulNBits with palettes', 'Pass --mode linear with 4 bits.');
    if (channelScales && (groupSize !== undefined || int8Palette))
      throw impossible('scales for channels with grouped or 8-bit palettes', 'Leave out one of the two.');
    return { kind: 'palette', bits: width, groupSize, int8Palette, channelScales };
  }
  if (bits !== 4 && bits !== 8)
    throw impossible(`linear quantisation to ${bits} bits`, 'Choose 4 or 8 bits, or palettes.');
  if (int8Palette || channelScales)
    throw impossible('what changes palettes in a linear mode', 'Leave out one of the two.');
  if (matMulNBits && bits !== 4) throw impossible('MatMulNBits with 8 bits', 'Choose 4 bits.');
  return { kind: 'linear', bits, symmetric: mode === 'linear-symmetric', blockSize: groupSize, matMulNBits };
}

function impossible(what: string, advice: string): RequestError {
  return new RequestError({ problem: `${what} is not possible.`, advice });
}
