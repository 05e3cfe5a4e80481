import { expect, test } from 'vitest';
import { onnxNode } from '../../../src/formats/onnx/onnx-writer.ts';
import { dataTypes, type NodeProto } from '../../../src/formats/onnx/proto.ts';
import { weightUses } from '../../../src/formats/onnx/weight-uses.ts';

const initializer = [{ name: 'w0', dims: [2, 2], dataType: dataTypes.f16 }];
const product = onnxNode('MatMul', ['x', 'w4'], 'y');

function cast(inputs: readonly string[], output: string): NodeProto {
  return onnxNode('Cast', inputs, output, { to: dataTypes.f32 });
}

/** Casts from w0 to w4, so many of each. */
function casts(count: number, inputs = (name: string): string[] => [name]): NodeProto[] {
  return [0, 1, 2, 3].flatMap((at) =>
    Array.from({ length: count }, () => cast(inputs(`w${at}`), `w${at + 1}`)),
  );
}

test('a weight is found behind casts', () => {
  const uses = weightUses({ initializer, node: [...casts(1), product] });
  expect(uses.get('w0')?.casts).toHaveLength(4);
});

test('values that many nodes give, in a file that is no valid model, are not followed', () => {
  expect(weightUses({ initializer, node: [...casts(300), product] }).size).toBe(0);
});

test('nor are casts of many values', () => {
  const node = [...casts(1, (name) => Array(300).fill(name)), product];
  expect(weightUses({ initializer, node }).size).toBe(0);
});
