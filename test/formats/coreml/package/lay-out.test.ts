import { expect, test } from 'vitest';
import type { MilDType } from '../../../../src/formats/coreml/mil/mil-dtype.ts';
import { programFunctions, programValues } from '../../../../src/formats/coreml/mil/mil-program.ts';
import type { Model, Operation, Value } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import {
  immediate,
  int32,
  namedType,
  packedByteSize,
  streamed,
} from '../../../../src/formats/coreml/mil/mil-value.ts';
import {
  layOut,
  type SmallValues,
  sizeInFile,
  smallStreams,
} from '../../../../src/formats/coreml/package/lay-out.ts';
import type { TensorStream } from '../../../../src/weights/tensor-stream.ts';

test('streams lie in the file in the order of the operations, each once however many constants it is', () => {
  const shared = unread('shared', 'fp16', [16]);
  const model = modelOf(
    streamed('fp16', [16], shared),
    streamed('fp16', [40], unread('second', 'fp16', [40])),
    streamed('fp16', [4, 4], shared),
  );
  const { message, weights } = layOut(model);
  expect(weights.placed.map(({ blob, offset }) => [blob.name, offset])).toEqual([
    ['shared', 64],
    ['second', 192],
  ]);
  expect(valuesOf(message).map(({ blobFileValue }) => blobFileValue?.offset)).toEqual([64, 192, 64]);
});

test('up to nine fractions or packed numbers stand in the program: zeros in a plan, the numbers when written', () => {
  const [half, single, nibbles] = [
    streamed('fp16', [2], unread('half', 'fp16', [2])),
    streamed('fp32', [2], unread('single', 'fp32', [2])),
    streamed('uint4', [3], unread('nibbles', 'uint4', [3])),
  ];
  const model = modelOf(half, single, nibbles);
  expect(smallStreams(model).map(({ name }) => name)).toEqual(['half', 'single', 'nibbles']);
  const tensors = (smallValues?: SmallValues) =>
    valuesOf(layOut(model, smallValues).message).map(({ immediateValue }) => immediateValue?.tensor);
  expect(tensors()).toEqual([
    { bytes: { values: new Uint8Array(4) } },
    { floats: { values: [0, 0] } },
    { bytes: { values: new Uint8Array(2) } },
  ]);
  const given = ({ byteLength }: TensorStream) =>
    new Uint8Array(new Float32Array([1.5, -2]).buffer, 0, byteLength);
  expect(tensors(given)[1]).toEqual({ floats: { values: [1.5, -2] } });
  expect([half, single, nibbles].map(sizeInFile)).toEqual([0, 0, 0]);
});

test('whole numbers whose length in a message depends on them stay in the file, however few', () => {
  const value = streamed('int32', [3], unread('indices', 'int32', [3]));
  expect(layOut(modelOf(value)).weights.placed).toHaveLength(1);
  expect(sizeInFile(value)).toBe(64 + 64);
});

test('the unused bits of the last byte are told', () => {
  const { weights } = layOut(modelOf(streamed('uint3', [11], unread('indices', 'uint3', [11]))));
  expect(weights.placed.map(({ blob }) => blob.paddingBits)).toEqual([7]);
});

test('operations without such values stay the objects they are', () => {
  const model = modelOf(immediate(int32(1)), streamed('fp16', [16], unread('weight', 'fp16', [16])));
  const [kept, changed] = operationsOf(layOut(model).message);
  expect(kept).toBe(operationsOf(model)[0]);
  expect(changed).not.toBe(operationsOf(model)[1]);
});

function unread(name: string, dtype: MilDType, shape: readonly number[]): TensorStream {
  return {
    name,
    byteLength: packedByteSize(dtype, shape),
    stream() {
      throw new Error('nothing is read when a model is laid out');
    },
  };
}

/** A model of constants. */
function modelOf(...values: readonly Value[]): Model {
  const operations = values.map((val, index) => ({
    type: 'const',
    inputs: {},
    outputs: [namedType(`c${index}`, 'fp16', [])],
    blocks: [],
    attributes: { val },
  }));
  const block = { inputs: [], outputs: [], operations, attributes: {} };
  const main = { inputs: [], opset: 'CoreML6', block_specializations: { CoreML6: block }, attributes: {} };
  return {
    specificationVersion: 7,
    description: null,
    isUpdatable: false,
    mlProgram: { version: 1, functions: { main }, docString: '', attributes: {} },
  };
}

function operationsOf({ mlProgram }: Model): readonly Operation[] {
  return mlProgram ? programFunctions(mlProgram).flatMap(({ block }) => block.operations) : [];
}

function valuesOf({ mlProgram }: Model): Value[] {
  return mlProgram ? [...programValues(mlProgram)].map(({ value }) => value) : [];
}
