import { UnsupportedModelError } from '../../../errors.ts';
import { type MilDType, milDTypes, milElement } from '../mil/mil-dtype.ts';
import { featuresByFunction, type MilModel } from '../mil/mil-model.ts';
import { statisticsName } from '../mil/mil-operations.ts';
import { iosOfOpset } from '../mil/mil-opset.ts';
import { operationValues, programFunctions, tensorTypeOf } from '../mil/mil-program.ts';
import type { ArrayFeatureType, Block, FeatureDescription, Operation, Value } from '../mil/mil-schema.ts';

/**
 * `metadata.json`, the summary of a compiled model. Core ML does not need it; apps do: Mochi Diffusion finds the
 * attention in the statistics and the sizes in the schemas, and reads every value but the numbers below as text.
 */
type Json = string | number | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The oldest systems that run each specification version: macOS, then tvOS, iOS and Mac Catalyst, visionOS, watchOS. */
const systems: ReadonlyMap<number, readonly [string, string, string, string]> = new Map([
  [6, ['12.0', '15.0', '1.0', '8.0']],
  [7, ['13.0', '16.0', '1.0', '9.0']],
  [8, ['14.0', '17.0', '1.0', '10.0']],
  [9, ['15.0', '18.0', '2.0', '11.0']],
]);

/**
 * The text of `metadata.json`; `className` is the name of the class that Xcode generates. Throws `UnsupportedModelError`
 * for specification versions that are not known, and inputs and outputs that are not arrays.
 */
export function compiledMetadata(model: MilModel, className: string): string {
  const { description, specificationVersion, path } = model;
  const { metadata } = description;
  const functions = describeFunctions(model);
  const main = functions.find(({ name }) => name === description.defaultFunctionName) ?? functions[0];
  if (!main) throw new Error('a program has functions');
  const { name: _name, ...summary } = main;
  const isMultiFunction = description.functions.length > 0;
  const root: Json = {
    shortDescription: metadata?.shortDescription || undefined,
    metadataOutputVersion: '3.0',
    version: metadata?.versionString || undefined,
    modelParameters: [],
    author: metadata?.author || undefined,
    license: metadata?.license || undefined,
    specificationVersion,
    ...summary,
    functions: isMultiFunction ? functions : undefined,
    defaultFunctionName: isMultiFunction ? main.name : undefined,
    isUpdatable: '0',
    availability: availability(specificationVersion, path),
    modelType: { name: 'MLModelType_mlProgram' },
    userDefinedMetadata: metadata?.userDefined ?? {},
    generatedClassName: className,
    method: 'predict',
  };
  return print([root], '');
}

function availability(specificationVersion: number, path: string): Json {
  const [macOS, iOS, visionOS, watchOS] = systems.get(specificationVersion) ?? [];
  if (macOS === undefined || iOS === undefined) {
    throw new UnsupportedModelError({
      problem: `${path} has specification version ${specificationVersion}, and only 6 to 9 can be compiled here.`,
      advice: 'Compile it with Xcode, or convert it for an older system.',
    });
  }
  return { macOS, tvOS: iOS, visionOS, watchOS, iOS, macCatalyst: iOS };
}

/** Each function as `metadata.json` describes it. */
function describeFunctions(model: MilModel) {
  const { program, path } = model;
  const featuresOf = featuresByFunction(model);
  const schema = (features: readonly FeatureDescription[]): Json[] =>
    features.map((feature) => describeFeature(feature, path));
  return programFunctions(program).map(({ name, function: { opset }, block }) => {
    const features = featuresOf(name);
    return {
      name,
      inputSchema: schema(features.input),
      outputSchema: schema(features.output),
      stateSchema: schema(features.state),
      storagePrecision: mixture(block.operations.flatMap(storedAs)),
      computePrecision: mixture(block.operations.flatMap(computedAs)) ?? '',
      mlProgramOperationTypeHistogram: histogram(block, iosOfOpset(opset) ?? 0),
    };
  });
}

function histogram({ operations }: Block, ios: number): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { type } of operations) {
    if (type === 'const') continue;
    const name = statisticsName(type, ios);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}

/** Storage of an operation's weights: their dtype, or their compression. */
function storedAs(operation: Operation): string[] {
  const values = new Map(operationValues(operation));
  const typeOf = (parameter: string): string[] => {
    const type = tensorTypeOf(values.get(parameter)?.type ?? null);
    return type ? [dtypeName(type.dtype)] : [];
  };
  switch (operation.type) {
    case 'const':
      return values.get('val')?.blobFileValue ? typeOf('val') : [];
    case 'constexpr_affine_dequantize':
      return typeOf('quantized_data');
    case 'constexpr_blockwise_shift_scale':
      return typeOf('data');
    case 'constexpr_lut_to_dense':
      return paletteBits(values.get('lut')).map((bits) => `Palettized (${bits} bits)`);
    default:
      return operation.type.startsWith('constexpr_sparse') ? ['Sparse'] : [];
  }
}

/** A palette of 2^bits colours is a vector, or (from iOS 18 on) the last axis but one of a tensor; none where another operation gives it. */
function paletteBits(lut: Value | undefined): number[] {
  const shape = tensorTypeOf(lut?.type ?? null)?.shape ?? [];
  const colours = shape.length === 1 ? shape[0] : shape.at(-2);
  return colours === undefined ? [] : [Math.log2(colours)];
}

function computedAs({ outputs }: Operation): string[] {
  return outputs.flatMap(({ type }) => {
    const tensor = tensorTypeOf(type);
    return tensor && tensor.dtype !== 'bool' && tensor.dtype !== 'string' ? [dtypeName(tensor.dtype)] : [];
  });
}

function mixture(names: readonly string[]): string | undefined {
  const distinct = [...new Set(names)].sort();
  return distinct.length > 1 ? `Mixed (${distinct.join(', ')})` : distinct[0];
}

/** `Float16`, `Int32`, `UInt8`, `BFloat16` … */
function dtypeName(dtype: MilDType): string {
  if (dtype === 'fp64') return 'Double';
  return dtype.replace(/^u?int|^b?fp?/, (kind) => kinds[kind] ?? kind);
}

const kinds: Readonly<Record<string, string>> = { int: 'Int', uint: 'UInt', fp: 'Float', bf: 'BFloat' };

function describeFeature({ name, shortDescription, type }: FeatureDescription, path: string): Json {
  const array = type?.multiArrayType ?? type?.stateType?.arrayType;
  if (!type || !array) {
    throw new UnsupportedModelError({
      problem: `${path} cannot be compiled here: ${name} is not an array.`,
      advice: 'Compile it with Xcode.',
    });
  }
  const kind = type.stateType ? 'State' : 'MultiArray';
  const ranges = array.shapeRange?.sizeRanges.map(
    ({ lowerBound, upperBound }) => [lowerBound, upperBound] as const,
  );
  const shape = array.shape.length ? array.shape : (ranges ?? []).map(([lowest]) => lowest);
  const dataType = arrayTypeName(array);
  return {
    hasShapeFlexibility: ranges ? '1' : '0',
    isOptional: type.isOptional ? '1' : '0',
    shapeRange: ranges && list(ranges.map(list)),
    shapeFlexibility:
      ranges && times(ranges.map(([low, high]) => (low === high ? String(low) : `${low}...${high}`))),
    dataType,
    formattedType: `${kind} (${[dataType, times(shape)].filter(Boolean).join(' ')})`,
    shortDescription,
    shape: list(shape),
    name,
    type: kind,
  };
}

function arrayTypeName({ dataType }: ArrayFeatureType): string {
  // as: Object.keys gives strings; the table has exactly these keys.
  const dtype = (Object.keys(milDTypes) as MilDType[]).find((each) => milElement(each).array === dataType);
  return dtype ? dtypeName(dtype) : String(dataType);
}

function list(parts: readonly (number | string)[]): string {
  return `[${parts.join(', ')}]`;
}

function times(sizes: readonly (number | string)[]): string {
  return sizes.join(' × ');
}

/** JSON as Apple's frameworks print it. */
function print(value: Json, indent: string): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return printText(value);
  const isList = isArray(value);
  const inner = `${indent}  `;
  const items = isList
    ? value.map((item) => inner + print(item, inner))
    : Object.entries(value).flatMap(([key, item]) =>
        item === undefined ? [] : `${inner}${printText(key)} : ${print(item, inner)}`,
      );
  const [open, close] = isList ? '[]' : '{}';
  return `${open}\n${items.join(',\n')}\n${indent}${close}`;
}

function printText(text: string): string {
  return JSON.stringify(text).replaceAll('/', '\\/');
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
