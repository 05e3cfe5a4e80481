import { UnsupportedModelError } from '../../../errors.ts';
import { milElement } from './mil-dtype.ts';
import type { ArrayFeatureType, FeatureDescription, SizeRange, Value, ValueType } from './mil-schema.ts';
import { immediate, int32s, tensorType, text } from './mil-value.ts';

/** The attribute by which a compiled function says what sizes its inputs may have. */
export const FLEXIBLE_SHAPES = 'FlexibleShapeInformation';

/**
 * The `FlexibleShapeInformation` of a function with these inputs: a default shape and a range of sizes for each that is
 * flexible; `undefined` when all shapes are fixed. Throws `UnsupportedModelError` for enumerated shapes: Apple's
 * compiler gives each an identifier whose making is not known.
 */
export function flexibleShapes(inputs: readonly FeatureDescription[], file: string): Value | undefined {
  const defaults: [string, Value][] = [];
  const ranges: [string, Value][] = [];
  for (const { name, type } of inputs) {
    if (type?.multiArrayType?.enumeratedShapes) {
      throw new UnsupportedModelError({
        problem: `${file} cannot be compiled here: its input ${name} has enumerated shapes.`,
        advice: 'Give it one fixed shape, or compile it with Xcode.',
      });
    }
    if (!type?.multiArrayType?.shapeRange) continue;
    const { sizeRanges } = type.multiArrayType.shapeRange;
    defaults.push([name, sizes(defaultShape(type.multiArrayType, sizeRanges))]);
    const bounds = sizeRanges.map(({ lowerBound, upperBound }) => sizes([lowerBound, upperBound]));
    ranges.push([name, { docString: '', type: RANGES, immediateValue: { list: { values: bounds } } }]);
  }
  if (defaults.length === 0) return undefined;
  return tuple([
    tuple([immediate(text('DefaultShapes')), dictionary(SHAPE, defaults)]),
    tuple([immediate(text('RangeDims')), dictionary(RANGES, ranges)]),
  ]);
}

function defaultShape({ shape }: ArrayFeatureType, ranges: readonly SizeRange[]): readonly number[] {
  return shape.length ? shape : ranges.map(({ lowerBound }) => lowerBound);
}

/** Vectors of any length. */
const SHAPE: ValueType = {
  tensorType: {
    dataType: milElement('int32').code,
    rank: 1,
    dimensions: [{ unknown: { variadic: false } }],
    attributes: {},
  },
};

/** Lists of a lower and an upper bound. */
const RANGES: ValueType = {
  listType: { type: tensorType('int32', [2]), length: { unknown: { variadic: false } } },
};

function sizes(values: readonly number[]): Value {
  return immediate(int32s(values));
}

function dictionary(valueType: ValueType, entries: readonly (readonly [string, Value])[]): Value {
  const values = entries.map(([name, value]) => ({ key: immediate(text(name)), value }));
  const type = { dictionaryType: { keyType: tensorType('string', []), valueType } };
  return { docString: '', type, immediateValue: { dictionary: { values } } };
}

function tuple(values: readonly Value[]): Value {
  const types = values.flatMap(({ type }) => type ?? []);
  return { docString: '', type: { tupleType: { types } }, immediateValue: { tuple: { values } } };
}
