import { paletteBits } from '../../quantize/palette/palette.ts';
import { plainName } from '../../quantize/plan.ts';
import type { StoredForm, StoredForms } from '../../quantize/stored-form.ts';
import { INT4, UINT4 } from './compressed-forms.ts';
import { dataTypes, dtypeOf, type ModelProto, type NodeProto, type TensorProto, toNumber } from './proto.ts';

/** The forms of a model's quantised weights, those that sdconvert writes: see `compressed-forms.ts` and `mat-mul-n-bits.ts`. */
export function readOnnxForms({ graph }: ModelProto): StoredForms {
  const stored = new Map((graph?.initializer ?? []).map((tensor) => [tensor.name ?? '', tensor]));
  const forms = new Map<string, StoredForm>();
  for (const [name, tensor] of stored) {
    const form = name.endsWith('/palette') ? paletteForm(dims(tensor)) : undefined;
    if (form) forms.set(plainName(name.slice(0, -'/palette'.length)), form);
  }
  for (const node of graph?.node ?? []) {
    const of = (input: number): TensorProto | undefined => stored.get(node.input?.[input] ?? '');
    const [quantized, scale] = node.opType === 'MatMulNBits' ? [of(1), of(2)] : [of(0), of(1)];
    if (!quantized || !scale) continue;
    const name = plainName((quantized.name ?? '').replace(/\/quantized$/, ''));
    const form =
      node.opType === 'DequantizeLinear'
        ? dequantized(node, quantized, scale)
        : node.opType === 'MatMulNBits'
          ? matrixOfBits(node, scale, of(3) !== undefined)
          : undefined;
    if (form) forms.set(name, form);
  }
  return forms;
}

/** One entry a row, or those that a byte stands for. */
function paletteForm([rows = 1, perByte]: readonly number[]): StoredForm | undefined {
  const width = perByte === undefined ? Math.log2(rows) : 8 / perByte;
  const bits = paletteBits.find((each) => each === width);
  return bits && { kind: 'palette', bits, groups: 1, int8Palette: false };
}

function dequantized(node: NodeProto, quantized: TensorProto, scale: TensorProto): StoredForm | undefined {
  const [shape, scales] = [dims(quantized), dims(scale)];
  const form = wholeNumbers.get(quantized.dataType ?? 0);
  const axis = attribute(node, 'axis') ?? 1;
  const blockSize = attribute(node, 'block_size');
  const blockShape = blockSize
    ? shape.map((_, at) => (at === axis ? blockSize : 1))
    : shape.map((size, at) => (scales.length > 0 && at === axis ? 1 : size));
  return form && { kind: 'linear', ...form, shape, blockShape, dtype: dtypeOfScale(scale) };
}

function matrixOfBits(node: NodeProto, scale: TensorProto, hasZeros: boolean): StoredForm {
  const shape = [attribute(node, 'N') ?? 0, attribute(node, 'K') ?? 0];
  const blockShape = [1, attribute(node, 'block_size') ?? 1];
  return { kind: 'linear', bits: 4, symmetric: !hasZeros, shape, blockShape, dtype: dtypeOfScale(scale) };
}

const wholeNumbers: ReadonlyMap<number, { readonly bits: 4 | 8; readonly symmetric: boolean }> = new Map([
  [dataTypes.u8, { bits: 8, symmetric: false }],
  [dataTypes.i8, { bits: 8, symmetric: true }],
  [UINT4, { bits: 4, symmetric: false }],
  [INT4, { bits: 4, symmetric: true }],
]);

function dtypeOfScale({ dataType }: TensorProto): 'f16' | 'f32' {
  return dtypeOf(dataType ?? 0) === 'f16' ? 'f16' : 'f32';
}

function attribute({ attribute: attributes }: NodeProto, name: string): number | undefined {
  const found = attributes?.find((each) => each.name === name);
  return found && toNumber(found.i);
}

function dims(tensor: TensorProto): number[] {
  return (tensor.dims ?? []).map(toNumber);
}
