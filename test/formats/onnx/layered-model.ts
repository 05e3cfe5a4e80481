import { milDTypes } from '../../../src/formats/coreml/mil/mil-dtype.ts';
import { withValues } from '../../../src/formats/coreml/mil/mil-program.ts';
import type { Model, Value } from '../../../src/formats/coreml/mil/mil-schema.ts';
import { parseMilText } from '../../../src/formats/coreml/mil/parse-mil-text.ts';
import type { TensorStream } from '../../../src/weights/tensor-stream.ts';

/** How a layered model is written. */
export interface LayeredOptions {
  /** 7 is iOS 16; 9 is iOS 18, where the parts of a palette are parameters and elements may be narrower than a byte. */
  readonly specificationVersion?: 7 | 9;
  /** Statements at the beginning of the program. */
  readonly first?: string;
  /** What follows `y` among the outputs: `, early`. */
  readonly moreOutputs?: string;
  readonly change?: (model: Model) => Model;
}

/**
 * A model of four layers with 512 bytes of weights each, as Apple's tool writes one: `h1` is kept for a skip connection, the
 * text is laid out anew in the beginning and read in the end, the weights of the second and the fourth layer are palettes
 * of 6 bits.
 */
export function layeredModel({
  specificationVersion = 7,
  first = '',
  moreOutputs = '',
  change = (model) => model,
}: LayeredOptions = {}): Model {
  const isNew = specificationVersion === 9;
  const streams: TensorStream[] = [];
  const blob = (type: string, name: string, bytes: Uint8Array): string => {
    const offset = streams.push({ name, byteLength: bytes.length, stream: () => [bytes] });
    return `tensor<${type}>(BLOBFILE(path = ${literal('string', '"@model_path/weights/weight.bin"')}, offset = ${literal('uint64', String(offset))}))`;
  };
  const constant = (type: string, name: string, value: string): string =>
    `tensor<${type}> ${name} = const()[name = ${literal('string', `"${name}"`)}, val = ${value}];`;
  const literal = (type: string, value: string): string =>
    isNew ? `${type}(${value})` : `tensor<${type}, []>(${value})`;
  const dense = (name: string, seed: number): string =>
    constant('fp16, [16, 16]', name, blob('fp16, [16, 16]', name, halves(256, seed)));
  const palettized = (name: string, seed: number): string => {
    const indices = noise(192, seed);
    const lut = halves(64, seed);
    const attribute = `name = ${literal('string', `"${name}"`)}`;
    if (isNew) {
      const parameters = `indices = ${blob('uint6, [16, 16]', name, indices)}, lut = ${blob('fp16, [1, 1, 64, 1]', name, lut)}`;
      return `tensor<fp16, [16, 16]> ${name} = constexpr_lut_to_dense(${parameters})[${attribute}];`;
    }
    const parameters = `indices = ${blob('uint8, [192]', name, indices)}, lut = ${blob('fp16, [64]', name, lut)}`;
    const shape = 'shape = tensor<uint32, [2]>([16, 16])';
    return `tensor<fp16, [16, 16]> ${name} = constexpr_lut_to_dense()[${parameters}, ${attribute}, ${shape}];`;
  };
  const bias = constant('fp16, [16]', 'bias', blob('fp16, [16]', 'bias', halves(16, 9)));
  const linear = (name: string, weight: string, x: string): string =>
    `tensor<fp16, [2, 16]> ${name} = linear(bias = bias, weight = ${weight}, x = ${x})[name = ${literal('string', `"${name}"`)}];`;
  const text = `program(${isNew ? '1.3' : '1.0'}){func main<${isNew ? 'ios18' : 'ios16'}>(tensor<fp16, [2, 16]> x, tensor<fp16, [2, 16]> unread, tensor<fp16, [16, 2]> text) {
    ${first}
    ${constant('int32, [2]', 'perm', 'tensor<int32, [2]>([1, 0])')}
    tensor<fp16, [2, 16]> laid_out = transpose(perm = perm, x = text);
    ${bias}
    ${dense('w1', 1)} ${linear('h1', 'w1', 'x')}
    ${palettized('w2', 2)} ${linear('h2', 'w2', 'h1')}
    ${dense('w3', 3)} ${linear('h3', 'w3', 'h2')}
    tensor<fp16, [2, 16]> skip = add(x = h1, y = h3);
    ${palettized('w4', 4)} ${linear('h4', 'w4', 'skip')}
    tensor<fp16, [2, 16]> mixed = add(x = h4, y = laid_out);
    tensor<string, []> to_fp32 = const()[val = tensor<string, []>("fp32")];
    tensor<fp32, [2, 16]> y = cast(dtype = to_fp32, x = mixed);
  } -> (y${moreOutputs});}`;
  // Shared constants share a stream.
  const streaming = (value: Value): Value => {
    const { docString, type, blobFileValue } = value;
    const streamedValue = blobFileValue && streams[blobFileValue.offset - 1];
    return streamedValue ? { docString, type, streamedValue } : value;
  };
  const model: Model = {
    specificationVersion,
    description: {
      input: [
        feature('x', [2, 16], milDTypes.fp16.array, 'What comes in'),
        feature('unread', [2, 16], milDTypes.fp16.array),
        feature('text', [16, 2], milDTypes.fp16.array, 'What it is about'),
      ],
      output: [feature('y', [2, 16], milDTypes.fp32.array, 'What comes out')],
      predictedFeatureName: '',
      predictedProbabilitiesName: '',
      state: [],
      functions: [],
      defaultFunctionName: '',
      trainingInput: [],
      metadata: {
        shortDescription: 'Four layers',
        versionString: 'somebody/model',
        author: 'Somebody',
        license: 'A license',
        userDefined: { 'com.github.apple.coremltools.version': '9.0' },
      },
    },
    isUpdatable: false,
    mlProgram: withValues(parseMilText(text, 'layered model'), streaming),
  };
  return change(model);
}

function feature(name: string, shape: readonly number[], dataType: number, shortDescription = '') {
  return { name, shortDescription, type: { multiArrayType: { shape, dataType }, isOptional: false } };
}

/** Bytes that look like nothing in particular. */
function noise(count: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => ((index + 1) * (2 * seed + 1) * 2654435761) >>> 24);
}

/** float16 numbers of both signs between 1/8 and 1. */
function halves(count: number, seed: number): Uint8Array {
  const bits = Uint16Array.from(
    noise(count, seed),
    (byte, index) => ((index & 1) << 15) | (0x3000 + byte * 12),
  );
  return new Uint8Array(bits.buffer);
}
