import protobuf from 'protobufjs';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { decodeAsPlain, decodeAsShared, plainForm } from './decode-plain.ts';
import { milProto } from './mil-proto.ts';

/**
 * The content of a `model.mlmodel` as plain objects, field for field as in `mil-proto.ts`. A decoded message has all
 * its fields: numbers that were left out are 0, texts '', lists and maps empty, messages `null`. Where a message holds
 * one of several things (a protobuf oneof), their fields are optional and at most one is there.
 * 64-bit integers are numbers.
 */
export interface Model {
  readonly specificationVersion: number;
  readonly description: ModelDescription | null;
  readonly isUpdatable: boolean;
  readonly mlProgram?: Program;
  readonly pipeline?: Pipeline;
  /** A kind of model that is not an ML Program, undecoded. */
  readonly pipelineClassifier?: Uint8Array;
  readonly pipelineRegressor?: Uint8Array;
  readonly neuralNetwork?: Uint8Array;
  readonly serializedModel?: Uint8Array;
}

export interface Pipeline {
  readonly models: readonly Model[];
  readonly names: readonly string[];
}

export interface ModelDescription {
  readonly input: readonly FeatureDescription[];
  readonly output: readonly FeatureDescription[];
  readonly predictedFeatureName: string;
  readonly predictedProbabilitiesName: string;
  readonly state: readonly FeatureDescription[];
  readonly functions: readonly FunctionDescription[];
  readonly defaultFunctionName: string;
  readonly trainingInput: readonly FeatureDescription[];
  readonly metadata: Metadata | null;
}

export interface FunctionDescription {
  readonly name: string;
  readonly input: readonly FeatureDescription[];
  readonly output: readonly FeatureDescription[];
  readonly predictedFeatureName: string;
  readonly predictedProbabilitiesName: string;
  readonly state: readonly FeatureDescription[];
}

export interface FeatureDescription {
  readonly name: string;
  readonly shortDescription: string;
  readonly type: FeatureType | null;
}

export interface Metadata {
  readonly shortDescription: string;
  readonly versionString: string;
  readonly author: string;
  readonly license: string;
  readonly userDefined: Readonly<Record<string, string>>;
}

export interface FeatureType {
  readonly multiArrayType?: ArrayFeatureType;
  readonly stateType?: { readonly arrayType?: ArrayFeatureType };
  /** A kind of input or output that is not an array, undecoded. */
  readonly int64Type?: Uint8Array;
  readonly doubleType?: Uint8Array;
  readonly stringType?: Uint8Array;
  readonly imageType?: Uint8Array;
  readonly dictionaryType?: Uint8Array;
  readonly sequenceType?: Uint8Array;
  readonly isOptional: boolean;
}

export interface ArrayFeatureType {
  readonly shape: readonly number[];
  /** One of `arrayDataTypes`. */
  readonly dataType: number;
  readonly enumeratedShapes?: { readonly shapes: readonly { readonly shape: readonly number[] }[] };
  readonly shapeRange?: { readonly sizeRanges: readonly SizeRange[] };
  readonly intDefaultValue?: number;
  readonly floatDefaultValue?: number;
  readonly doubleDefaultValue?: number;
}

export interface SizeRange {
  readonly lowerBound: number;
  /** −1 is unbounded. */
  readonly upperBound: number;
}

export interface Program {
  readonly version: number;
  readonly functions: Readonly<Record<string, MilFunction>>;
  readonly docString: string;
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface MilFunction {
  readonly inputs: readonly NamedValueType[];
  /** The key of `block_specializations` that counts, e.g. `CoreML6`. */
  readonly opset: string;
  readonly block_specializations: Readonly<Record<string, Block>>;
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface Block {
  readonly inputs: readonly NamedValueType[];
  readonly outputs: readonly string[];
  readonly operations: readonly Operation[];
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface Operation {
  readonly type: string;
  readonly inputs: Readonly<Record<string, Argument>>;
  readonly outputs: readonly NamedValueType[];
  readonly blocks: readonly Block[];
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface Argument {
  readonly arguments: readonly Binding[];
}

/** Binding of a parameter: the name of a value, or a value. */
export interface Binding {
  readonly name?: string;
  readonly value?: Value;
}

export interface NamedValueType {
  readonly name: string;
  readonly type: ValueType | null;
}

export interface ValueType {
  readonly tensorType?: TensorType;
  readonly listType?: { readonly type: ValueType | null; readonly length: Dimension | null };
  readonly tupleType?: { readonly types: readonly ValueType[] };
  readonly dictionaryType?: { readonly keyType: ValueType | null; readonly valueType: ValueType | null };
  readonly stateType?: { readonly wrappedType: ValueType | null };
}

export interface TensorType {
  /** One of `milDTypes`' `code`s. */
  readonly dataType: number;
  readonly rank: number;
  readonly dimensions: readonly Dimension[];
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface Dimension {
  readonly constant?: { readonly size: number };
  readonly unknown?: { readonly variadic: boolean };
}

/** A constant: in the message, in a weight file beside it, or, in a model that is not written yet, streaming. */
export interface Value {
  readonly docString: string;
  readonly type: ValueType | null;
  readonly immediateValue?: ImmediateValue;
  readonly blobFileValue?: BlobFileValue;
  /** The bytes of a tensor of fixed size, as a weight file has them. No message has this: `layOut` gives each its place. */
  readonly streamedValue?: TensorStream;
}

export interface ImmediateValue {
  readonly tensor?: TensorValue;
  readonly tuple?: { readonly values: readonly Value[] };
  readonly list?: { readonly values: readonly Value[] };
  readonly dictionary?: {
    readonly values: readonly { readonly key: Value | null; readonly value: Value | null }[];
  };
}

export interface BlobFileValue {
  /** `@model_path/…`, where `@model_path` is the folder of model.mlmodel. */
  readonly fileName: string;
  /** Offset of the blob's metadata record in the file. */
  readonly offset: number;
}

export interface TensorValue {
  readonly floats?: { readonly values: readonly number[] };
  readonly ints?: { readonly values: readonly number[] };
  readonly bools?: { readonly values: readonly boolean[] };
  readonly strings?: { readonly values: readonly string[] };
  readonly longInts?: { readonly values: readonly number[] };
  readonly doubles?: { readonly values: readonly number[] };
  readonly bytes?: { readonly values: Uint8Array };
}

const schema = protobuf.parse(milProto, { keepCase: true }).root;
const modelMessage = schema.lookupType('Model');
const descriptionMessage = schema.lookupType('ModelDescription');
decodeAsPlain(schema.lookupType('Operation'));
decodeAsShared(schema.lookupType('ValueType'));

/** The bytes of a `model.mlmodel`, of a model in which no value streams: fields in the order of their numbers, maps in the order of their keys' insertion, zeros left out. */
export function encodeModel(model: Model): Uint8Array {
  // as: protobufjs takes any object with string keys; an interface does not say that it is one.
  return modelMessage.encode(model as unknown as Record<string, unknown>).finish();
}

/** The bytes of a model's description. */
export function encodeDescription(description: ModelDescription): Uint8Array {
  return descriptionMessage.encode(description as unknown as Record<string, unknown>).finish(); // as: see `encodeModel`
}

/** The content of a `model.mlmodel`. Equal types are one object. Throws `Error` when the bytes are not one. */
export function decodeModel(bytes: Uint8Array): Model {
  const message = modelMessage.decode(bytes);
  // as: `toObject` with these options gives exactly the interfaces above; mil-schema.test.ts shows it.
  return modelMessage.toObject(message, plainForm) as unknown as Model;
}
