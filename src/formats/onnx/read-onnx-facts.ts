import { basename, dirname, join } from 'node:path';
import { openFile, pathKind } from '../../io/disk.ts';
import { sizeOfFile } from '../../io/file-sizes.ts';
import { dtypeName, elementCount } from '../../weights/dtype.ts';
import { groupWeights, plainWeight, type StoredWeight } from '../../weights/weight-groups.ts';
import type { ArtifactFacts, DeclaredValue, FactLines, PlannedFile } from '../artifact.ts';
import { INT4, UINT4 } from './compressed-forms.ts';
import type { OnnxFacts } from './onnx-facts.ts';
import { readOnnxHeader } from './onnx-header.ts';
import { metadataOf, nameInModel } from './onnx-metadata.ts';
import {
  dtypeOf,
  EXTERNAL,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  toNumber,
  type ValueInfoProto,
} from './proto.ts';
import { declaredBytes } from './verify-tensors.ts';

/** Reads what there is to tell of an ONNX file, but no weights. Throws `FileFormatError` when it is not one. */
export async function readOnnxFacts(path: string): Promise<ArtifactFacts<'onnx'>> {
  const file = await openFile(path);
  const model = await readOnnxHeader(file).finally(() => file.close());
  const graph = model.graph ?? {};
  const initializers = graph.initializer ?? [];
  const weightNames = new Set(initializers.map(({ name }) => name));
  const { files, problems } = await dataFiles(path, initializers);
  const metadata = metadataOf(model);
  return {
    network: metadata.model,
    chunk: nameInModel(model, path).chunk,
    // Old versions list the weights among the inputs.
    inputs: (graph.input ?? []).filter(({ name }) => !weightNames.has(name)).map(value),
    outputs: (graph.output ?? []).map(value),
    operations: [...nodesOf(graph)].map(typeName),
    weights: groupWeights(storedWeights(initializers, graph.node ?? [])),
    files: [{ name: basename(path), byteLength: file.size }, ...files],
    metadata,
    problems,
    own: {
      irVersion: toNumber(model.irVersion),
      opsets: Object.fromEntries(
        (model.opsetImport ?? []).map(({ domain, version }) => [domain || 'ai.onnx', toNumber(version)]),
      ),
      producer: producerOf(model),
    },
  };
}

/** Versions and producer, for a person. */
export function describeOnnx({ irVersion, opsets, producer }: OnnxFacts): FactLines {
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`);
  return { opset: [...versions, `IR version ${irVersion}`], producer };
}

function producerOf({ producerName, producerVersion }: ModelProto): string {
  return [producerName, producerVersion].filter(Boolean).join(' ');
}

/** All nodes, those of branches and loop bodies included. */
function* nodesOf({ node }: GraphProto): Generator<NodeProto> {
  for (const each of node ?? []) {
    yield each;
    for (const { g, graphs } of each.attribute ?? []) {
      for (const inner of [...(g ? [g] : []), ...(graphs ?? [])]) yield* nodesOf(inner);
    }
  }
}

function typeName({ domain, opType }: NodeProto): string {
  return domain && domain !== 'ai.onnx' ? `${domain}.${opType}` : (opType ?? '');
}

function value({ name, type }: ValueInfoProto): DeclaredValue {
  const tensor = type?.tensorType;
  const dims = tensor?.shape?.dim?.map(({ dimParam, dimValue }) => {
    const size = toNumber(dimValue);
    return dimParam || (size > 0 ? size : '?');
  });
  return {
    name: name ?? '',
    dtype: tensor ? nameOfDataType(tensor.elemType ?? 0) : 'no tensor',
    shape: tensor?.shape ? (dims ?? []) : null,
  };
}

/** Every initializer; a palette and its indices, which together stand for a weight, as that weight. */
function* storedWeights(
  initializers: readonly TensorProto[],
  nodes: readonly NodeProto[],
): Generator<StoredWeight> {
  const byName = new Map(initializers.map((tensor) => [tensor.name ?? '', tensor]));
  const counted = new Set<TensorProto>();
  for (const [name, palette] of byName) {
    if (!name.endsWith('/palette')) continue;
    const weight = name.slice(0, -'/palette'.length);
    const indices = ['indices', 'indices_high'].flatMap((part) => byName.get(`${weight}/${part}`) ?? []);
    if (indices.length === 0) continue;
    for (const tensor of [palette, ...indices]) counted.add(tensor);
    const indexBytes = indices.reduce((sum, tensor) => sum + storedWeight(tensor).byteLength, 0);
    // One entry a row, or those that a byte stands for.
    const [entries = 1, perByte] = (palette.dims ?? []).map(toNumber);
    const bits = perByte === undefined ? Math.log2(entries) : 8 / perByte;
    yield {
      stored: `${bits}-bit palette`,
      bits,
      parameters: (8 * indexBytes) / bits,
      byteLength: indexBytes + storedWeight(palette).byteLength,
    };
  }
  const packed = packedMatrices(nodes);
  for (const tensor of initializers) {
    const bits = packed.get(tensor.name ?? '');
    if (!counted.has(tensor)) yield bits === undefined ? storedWeight(tensor) : packedWeight(tensor, bits);
  }
}

/** The matrices of MatMulNBits, several numbers of which are packed into each byte: their bits, by name. */
function packedMatrices(nodes: readonly NodeProto[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { opType, input, attribute } of nodes) {
    const bits = toNumber(attribute?.find(({ name }) => name === 'bits')?.i) || USUAL_BITS;
    const matrix = input?.[1];
    if (opType === 'MatMulNBits' && matrix !== undefined && bits > 0 && bits <= 8) found.set(matrix, bits);
  }
  return found;
}

/** What MatMulNBits has without an attribute (onnxruntime, docs/ContribOperators.md). */
const USUAL_BITS = 4;

function packedWeight(tensor: TensorProto, bits: number): StoredWeight {
  const { byteLength } = storedWeight(tensor);
  return { stored: `uint${bits}`, bits, parameters: Math.floor((8 * byteLength) / bits), byteLength };
}

function storedWeight(tensor: TensorProto): StoredWeight {
  const shape = (tensor.dims ?? []).map(toNumber);
  const code = tensor.dataType ?? 0;
  const dtype = dtypeOf(code);
  if (dtype) return plainWeight({ dtype, shape });
  const byteLength = declaredBytes(tensor) ?? placeOf(tensor).length ?? 0;
  const parameters = elementCount(shape);
  const bits = parameters === 0 ? 0 : (8 * byteLength) / parameters;
  return { stored: nameOfDataType(code), bits, parameters, byteLength };
}

/** TensorProto.DataType of what is no dtype of ours (onnx.proto). */
const otherTypes = new Map([
  [0, 'undefined'],
  [8, 'string'],
  [14, 'complex64'],
  [15, 'complex128'],
  [UINT4, 'uint4'],
  [INT4, 'int4'],
]);

/** `float16`; types that have come since IR version 8 are numbers. */
function nameOfDataType(code: number): string {
  const dtype = dtypeOf(code);
  return dtype ? dtypeName(dtype) : (otherTypes.get(code) ?? `type ${code}`);
}

/** The data files beside a model, and what is wrong with them. */
async function dataFiles(path: string, initializers: readonly TensorProto[]) {
  const ends = new Map<string, number>();
  for (const tensor of initializers) {
    if (tensor.dataLocation !== EXTERNAL) continue;
    const { location, offset, length = 0 } = placeOf(tensor);
    ends.set(location, Math.max(ends.get(location) ?? 0, offset + length));
  }
  const files: PlannedFile[] = [];
  const problems: string[] = [];
  for (const [name, end] of ends) {
    const file = join(dirname(path), name);
    const isThere = isInside(name) && (await pathKind(file)) === 'file';
    const found = isThere ? await sizeOfFile(file) : undefined;
    if (found !== undefined) files.push({ name, byteLength: found });
    if (!isInside(name)) problems.push(`Its weights would be outside of its folder: ${name}.`);
    else if (found === undefined) problems.push(`Its weights are missing: there is no ${name} beside it.`);
    else if (found < end)
      problems.push(`Its weights are cut short: ${name} has ${found} bytes, ${end} are needed.`);
  }
  return { files, problems };
}

function placeOf({ externalData }: TensorProto) {
  const entries = new Map((externalData ?? []).map(({ key, value }) => [key, value ?? '']));
  const length = entries.get('length');
  return {
    location: entries.get('location') ?? '',
    offset: Number(entries.get('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
  };
}

function isInside(location: string): boolean {
  return !/^$|^\/|\\|:/.test(location) && !location.split('/').includes('..');
}
