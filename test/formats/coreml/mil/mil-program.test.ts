import { expect, test } from 'vitest';
import {
  activeBlock,
  blockConstants,
  immediateElements,
  parameterValue,
  programValues,
  tensorTypeOf,
} from '../../../../src/formats/coreml/mil/mil-program.ts';
import type { Program } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { parseMilText } from '../../../../src/formats/coreml/mil/parse-mil-text.ts';
import { smallText } from '../small-package.ts';

function mainBlock({ functions: { main } }: Program) {
  if (!main) throw new Error('there is no main');
  return activeBlock(main);
}

test('a parameter is found wherever it is written: as an attribute, in its place, or in a constant', () => {
  const block = mainBlock(
    parseMilText(
      `program(1.3){func main<ios18>(fp32 x){
        int32 axis = const()[val = int32(7)];
        fp32 a = softmax(axis = axis, x = x);
        fp32 b = softmax(axis = int32(8), x = x);
        fp32 c = softmax(x = x)[axis = int32(9)];
        fp32 d = concat(axis = axis, values = (a, b));
      }->(d);}`,
      'model.mil',
    ),
  );
  const constants = blockConstants(block);
  const axes = block.operations.map((operation) => parameterValue(operation, 'axis', constants));
  expect(axes.map((value) => value && immediateElements(value))).toEqual([undefined, [7], [8], [9], [7]]);
  const [, softmax, , , concat] = block.operations;
  expect(softmax && parameterValue(softmax, 'x', constants)).toBeUndefined();
  expect(concat && parameterValue(concat, 'values', constants)).toBeUndefined();
  expect(softmax && parameterValue(softmax, 'constructor', constants)).toBeUndefined();
});

test('every value in a weight file is found, with the operation it belongs to', () => {
  const found = [...programValues(parseMilText(smallText, 'model.mil'))];
  const inFile = found.flatMap(({ operation, value: { blobFileValue } }) =>
    blobFileValue ? [[operation.outputs[0]?.name, blobFileValue]] : [],
  );
  expect(inFile).toEqual([['weight', { fileName: '@model_path/weights/weight.bin', offset: 64 }]]);
});

test('a size that is only known at run time has no number', () => {
  const block = mainBlock(
    parseMilText('program(1.0){func main<ios16>(){tensor<fp16, [?, 2]> a = f();}->(a);}', 'model.mil'),
  );
  expect(tensorTypeOf(block.operations[0]?.outputs[0]?.type ?? null)).toEqual({
    dtype: 'fp16',
    shape: [undefined, 2],
  });
});
