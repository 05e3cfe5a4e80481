import { type PaletteBits, paletteBits } from '../../quantize/palette/palette.ts';
import { plainName } from '../../quantize/plan.ts';
import type { StoredForm, StoredForms } from '../../quantize/stored-form.ts';
import { dtypeName } from '../../weights/dtype.ts';
import type { StoredWeight } from '../../weights/weight-groups.ts';
import { elementCodes } from './bytecode/codes.ts';
import { countOf, elementsOf } from './constants.ts';
import type { Operation, Program, Value } from './program.ts';
import { isDecoder } from './to-onnx/decode-constant.ts';

/** The weights of a program as they are stored: constants beside the operations, and what is decoded of such. What is stored once counts once. */
export function* storedWeights({ graphs }: Program): Generator<StoredWeight> {
  const seen = new Set<unknown>();
  const bytesOf = (operation: Operation | undefined): number => {
    const elements = operation && elementsOf(operation);
    if (elements?.kind !== 'resource' || seen.has(elements.tensor)) return 0;
    seen.add(elements.tensor);
    return elements.tensor.byteLength;
  };
  for (const { operations } of graphs) {
    const { constants, parts } = compressed(operations);
    for (const operation of operations) {
      const [value] = operation.results;
      if (!value || parts.has(value)) continue;
      const stored = isDecoder(operation)
        ? operation.operands.map((part) => constants.get(part))
        : [operation];
      const byteLength = stored.reduce((sum, part) => sum + bytesOf(part), 0);
      if (byteLength > 0) yield { ...howStored(operation), parameters: countOf(value.type), byteLength };
    }
  }
}

/** The forms of a program's quantised weights: see `quantize/compressed-forms.ts`. Palettes of vectors are left out. */
export function readForms({ graphs }: Program): StoredForms {
  const forms = new Map<string, StoredForm>();
  for (const { operations } of graphs) {
    const { constants } = compressed(operations);
    for (const operation of operations) {
      const [data, scales] = operation.operands;
      const origin = data && constants.get(data);
      const elements = origin && elementsOf(origin);
      if (!isDecoder(operation) || !data || !scales || elements?.kind !== 'resource') continue;
      const form = formOf(operation, data, scales);
      // The tensor of a part is called after the weight: `proj.weight/indices`.
      if (form) forms.set(plainName(elements.tensor.name.replace(/\/[^/]*$/, '')), form);
    }
  }
  return forms;
}

/** The constants of a graph by their values, and the values that only decoders read. */
function compressed(operations: readonly Operation[]) {
  const constants = new Map<Value, Operation>();
  for (const operation of operations) {
    const [value] = operation.results;
    if (value && elementsOf(operation)) constants.set(value, operation);
  }
  return { constants, parts: new Set(operations.filter(isDecoder).flatMap(({ operands }) => operands)) };
}

function howStored({ name, operands: [data], results: [value] }: Operation): {
  stored: string;
  bits: number;
} {
  const { element } = data?.type ?? value?.type ?? { element: 'f32' };
  const { bits } = elementCodes[element];
  if (name.includes('lut_to_dense')) return { stored: `${bits}-bit palette`, bits };
  const stored = dtypeName(element);
  return { stored: name.includes('shift_scale') ? `${stored} scaled` : stored, bits };
}

function formOf({ name }: Operation, data: Value, scales: Value): StoredForm | undefined {
  const shape = data.type.shape.map(Number);
  const counts = scales.type.shape.map(Number);
  const { bits } = elementCodes[data.type.element];
  if (name.includes('lut_to_dense')) {
    const [groups = 1, ...others] = counts.slice(0, -2);
    const isPlain = counts.at(-1) === 1 && others.every((count) => count === 1);
    return isPlain && isPaletteBits(bits) ? { kind: 'palette', bits, groups, int8Palette: false } : undefined;
  }
  if (bits !== 4 && bits !== 8) return undefined;
  const blockShape = shape.map((size, axis) => size / (counts[axis] ?? 1));
  const dtype = scales.type.element === 'f16' ? 'f16' : 'f32';
  const symmetric = data.type.element.startsWith('i');
  return { kind: 'linear', bits, symmetric, shape, blockShape, dtype, scalesApart: bits === 8 };
}

function isPaletteBits(bits: number): bits is PaletteBits {
  return paletteBits.some((each) => each === bits);
}
