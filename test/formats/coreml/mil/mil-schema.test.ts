import { expect, test } from 'vitest';
import { decodeModel, encodeModel, type Model } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import {
  bool,
  filled,
  fraction,
  immediate,
  int32s,
  namedType,
  tensorType,
  text,
} from '../../../../src/formats/coreml/mil/mil-value.ts';

const description = {
  input: [],
  output: [],
  predictedFeatureName: '',
  predictedProbabilitiesName: '',
  state: [],
  functions: [],
  defaultFunctionName: '',
  trainingInput: [],
  metadata: null,
};

test('a model is encoded as protobuf prescribes, with the field numbers of Core ML', () => {
  const input = {
    name: 'x',
    shortDescription: '',
    type: { multiArrayType: { shape: [1, 300], dataType: 65552 }, isOptional: false },
  };
  const model: Model = {
    specificationVersion: 7,
    description: { ...description, input: [input] },
    isUpdatable: false,
  };
  const expected = [
    [0x08, 7], // specificationVersion = 1
    [0x12, 18], // description = 2
    [0x0a, 16], // input = 1
    [0x0a, 1, 'x'.charCodeAt(0)], // name = 1
    [0x1a, 11], // type = 3
    [0x2a, 9], // multiArrayType = 5
    [0x0a, 3, 1, 0xac, 0x02], // shape = 1, packed
    [0x10, 0x90, 0x80, 0x04], // dataType = 2
  ].flat();
  expect([...encodeModel(model)]).toEqual(expected);
});

test('what was encoded is decoded, number for number', () => {
  const model = modelWith({
    type: 'op',
    inputs: { x: { arguments: [{ name: 'a' }, { value: immediate(bool(false)) }] } },
    outputs: [namedType('y', 'fp16', [])],
    blocks: [],
    attributes: {
      name: immediate(text('')),
      half: immediate(fraction('fp16', 0.1)),
      single: immediate(filled('fp32', 3, -0.5)),
      whole: immediate(int32s([-1, 0, 2 ** 31 - 1])),
      large: {
        docString: '',
        type: tensorType('fp16', [2, 4294967296]),
        blobFileValue: { fileName: '@model_path/weights/weight.bin', offset: 5_000_000_000 },
      },
    },
  });
  // A clone has plain byte arrays, where protobufjs gives Node's Buffers.
  expect(structuredClone(decodeModel(encodeModel(model)))).toEqual(model);
});

test('zeros in a list stay, a lone zero takes no room', () => {
  const operation = { type: 'op', inputs: {}, outputs: [namedType('y', 'fp32', [])], blocks: [] };
  const size = (values: readonly number[]): number =>
    encodeModel(modelWith({ ...operation, attributes: { v: immediate(int32s(values)) } })).length;
  expect(size([0, 0, 0, 0]) - size([0, 0, 0])).toBe(1);
  const [decoded] = blockOf(decodeModel(encodeModel(modelWith({ ...operation, attributes: {} }))));
  expect(decoded?.outputs[0]?.type?.tensorType?.rank).toBe(0);
});

test('bytes that are not a model are refused', () => {
  expect(() => decodeModel(Uint8Array.of(0x12, 0x7f, 1))).toThrow();
});

type Operations = ReturnType<typeof blockOf>;

function modelWith(operation: Operations[number]): Model {
  const block = { inputs: [], outputs: ['y'], operations: [operation], attributes: {} };
  const main = { inputs: [], opset: 'CoreML6', block_specializations: { CoreML6: block }, attributes: {} };
  const mlProgram = { version: 1, functions: { main }, docString: '', attributes: {} };
  return { specificationVersion: 7, description, isUpdatable: false, mlProgram };
}

function blockOf(model: Model) {
  return model.mlProgram?.functions.main?.block_specializations.CoreML6?.operations ?? [];
}
