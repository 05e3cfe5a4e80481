import { expect, test } from 'vitest';
import { UnsupportedModelError } from '../../../../src/errors.ts';
import { flexibleShapes } from '../../../../src/formats/coreml/mil/flexible-shapes.ts';
import type { Value } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { printMilProgram } from '../../../../src/formats/coreml/mil/mil-text.ts';
import { parseMilText } from '../../../../src/formats/coreml/mil/parse-mil-text.ts';
import { feature, smallText } from '../small-package.ts';

function print(
  text: string,
  specificationVersion: number,
  attributes: Readonly<Record<string, Value>> = {},
): string {
  const program = parseMilText(text, 'model.mil');
  return [
    ...printMilProgram(program, {
      specificationVersion,
      buildInfo: {},
      functionAttributes: () => attributes,
    }),
  ].join('');
}

const inScalars = smallText
  .replace('program(1.0)', 'program(1.3)')
  .replaceAll(/tensor<(string|bool|int32|uint64), \[\]>/g, '$1');

test('a text is printed as it was read, in the spelling of its specification version', () => {
  const sorted = (text: string) =>
    text.replace(
      '(tensor<fp32, [1, 4]> x, tensor<fp32, [1, 4]> a)',
      '(tensor<fp32, [1, 4]> a, tensor<fp32, [1, 4]> x)',
    );
  expect(print(smallText, 7)).toBe(sorted(smallText));
  expect(print(smallText, 8)).toBe(sorted(smallText));
  expect(print(smallText, 9)).toBe(sorted(inScalars));
  expect(print(inScalars, 7)).toBe(sorted(smallText));
});

test('what made the text is said first, sorted among what the program says of itself', () => {
  const program = parseMilText(smallText, 'model.mil');
  const buildInfo = { 'coremlc-version': '2', 'coremlc-component-MIL': '1' };
  const [, line] = printMilProgram(program, {
    specificationVersion: 9,
    buildInfo,
    functionAttributes: () => ({}),
  });
  expect(line).toBe(
    '[buildInfo = dict<string, string>({{"coremlc-component-MIL", "1"}, {"coremlc-version", "2"}, {"coremltools-version", "9.0"}})]\n{\n',
  );
});

test('values of every kind are read and printed without a change', () => {
  const lines = [
    'tensor<fp16, [2, 2]> a = const()[val = tensor<fp16, [2, 2]>([[-inf, 0x1.dfp-5], [0x1p-24, -0x0p+0]])];',
    'tensor<int8, [1, 2]> b = const()[val = tensor<int8, [1, 2]>([[-128, 127]])];',
    'tensor<uint32, [1]> c = const()[val = tensor<uint32, [1]>([4294967295])];',
    'tensor<fp32, [0]> d = const()[val = tensor<fp32, [0]>([])];',
    'string e = const()[val = string("say \\"a\\\\b\\"\\n")];',
    'uint64 f = const()[val = uint64(9007199254740991)];',
    'tensor<fp16, [?, 2]> g = gather(axis = int32(0), indices = b, validate_indices = bool(false), x = a);',
    'tensor<fp16, [1, 2]> h, tensor<fp16, [1, 2]> i = split(axis = int32(0), num_splits = int32(2), x = a);',
    'tensor<fp16, [4, 4]> j = constexpr_lut_to_dense(indices = tensor<uint4, [4, 4]>(BLOBFILE(path = string("@model_path/w.bin"), offset = uint64(64))), lut = a)[name = string("j")];',
  ];
  const text = `program(1.3)
[buildInfo = dict<string, string>({})]
{
    func main<ios18>(state<tensor<fp16, [2]>> s, tensor<fp32, [?, 4]> x) {
            ${lines.join('\n            ')}
        } -> (g, h);
    func second<ios17>() {
            fp32 z = const()[val = fp32(0x1.8p+0)];
        } -> (z);
}`;
  expect(print(text, 9)).toBe(text);
});

test('flexible inputs are declared as Apple declares them', () => {
  const ranges = feature('input', [1, 4]);
  const shapeRange = {
    sizeRanges: [
      { lowerBound: 1, upperBound: 4 },
      { lowerBound: 4, upperBound: 4 },
    ],
  };
  const input = {
    ...ranges,
    type: { multiArrayType: { shape: [1, 4], dataType: 65568, shapeRange }, isOptional: false },
  };
  const value = flexibleShapes([feature('fixed', [1]), input], 'x.mlpackage');
  expect(value).toBeDefined();
  const text = print(
    'program(1.3){func main<ios18>(){} -> ();}',
    9,
    value && { FlexibleShapeInformation: value },
  );
  // Verbatim from a model that Apple's compiler made.
  expect(text).toContain(
    '    func main<ios18>() [FlexibleShapeInformation = tuple<tuple<string, dict<string, tensor<int32, [?]>>>, ' +
      'tuple<string, dict<string, list<tensor<int32, [2]>, ?>>>>((("DefaultShapes", {{"input", [1, 4]}}), ' +
      '("RangeDims", {{"input", [[1, 4], [4, 4]]}})))] {\n',
  );
  expect(print(text, 9)).toBe(text);
});

test('a model of fixed shapes says nothing of flexible ones, and enumerated shapes are refused', () => {
  expect(flexibleShapes([feature('x', [1])], 'x.mlpackage')).toBeUndefined();
  const enumeratedShapes = { shapes: [{ shape: [1] }, { shape: [2] }] };
  const input = {
    ...feature('x', [1]),
    type: { multiArrayType: { shape: [1], dataType: 65568, enumeratedShapes }, isOptional: false },
  };
  expect(() => flexibleShapes([input], 'x.mlpackage')).toThrow(UnsupportedModelError);
});
