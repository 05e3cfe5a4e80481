import type { Graph } from '../../../graph/graph.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { type DeploymentTarget, deploymentTargets } from '../deployment-target.ts';
import { milElement } from '../mil/mil-dtype.ts';
import type { FeatureDescription, Model, ModelDescription, Program } from '../mil/mil-schema.ts';
import { namedType } from '../mil/mil-value.ts';
import { lower } from './lower.ts';
import { MilWriter, type Result, resultOf } from './mil-writer.ts';

/** Description of a package, for people. */
export interface PackageDescription {
  /** One sentence about the model. */
  readonly shortDescription: string;
  readonly author: string;
  readonly license: string;
  /** The model it was made of. */
  readonly version: string;
  /** Texts about inputs and outputs, by name; others stay without a text. */
  readonly features: Readonly<Record<string, string>>;
  /** Anything else. */
  readonly userDefined: Readonly<Record<string, string>>;
}

/** Options of building a package. */
export interface CoreMlOptions {
  /** The oldest system that is to load it. */
  readonly target: DeploymentTarget;
  readonly description: PackageDescription;
}

/**
 * Builds the Core ML model of a graph, which must have fixed sizes; dtypes are the graph's. Values are named after the graph's
 * tensors; inputs and outputs keep their exact names. No weight is read before the package is written.
 *
 *     const model = buildCoreMl(graph, { target: 'macOS13', description });
 *     await writePackage('unet.mlpackage', model, () => {});
 */
export function buildCoreMl(graph: Graph, { target, description }: CoreMlOptions): Model {
  const { ios, opset, specificationVersion } = deploymentTargets[target];
  const write = new MilWriter(ios);
  writeOperations(write, graph);

  const inputs = graph.inputs.map((tensor) => resultOf(tensor, tensor.name));
  const outputs = graph.outputs.map(({ name, tensor }) => resultOf(tensor, name));
  const block = {
    inputs: [],
    outputs: outputs.map(({ name }) => name),
    operations: write.operations,
    attributes: {},
  };
  const main = {
    inputs: inputs.map(({ name, dtype, shape }) => namedType(name, dtype, shape)),
    opset,
    block_specializations: { [opset]: block },
    attributes: {},
  };
  const mlProgram: Program = { version: 1, functions: { main }, docString: '', attributes: {} };
  return {
    specificationVersion,
    description: describe(inputs, outputs, description),
    isUpdatable: false,
    mlProgram,
  };
}

/** Writes every tensor's operations in order; weights and constants right before what reads them first. */
function writeOperations(write: MilWriter, graph: Graph): void {
  const names = new Map<Tensor, string>();
  for (const { name } of graph.outputs) write.names.reserve(name);
  for (const tensor of graph.inputs) {
    write.names.reserve(tensor.name);
    names.set(tensor, tensor.name);
  }
  const publicNames = outputNames(graph);

  const nameOf = (tensor: Tensor): string => names.get(tensor) ?? writeTensor(tensor);
  const writeTensor = (tensor: Tensor): string => {
    const inputs = tensor.inputs.map(nameOf);
    const name = publicNames.get(tensor) ?? write.names.claim(tensor.name);
    names.set(tensor, name);
    lower(write, tensor, resultOf(tensor, name), inputs);
    return name;
  };
  for (const tensor of graph.tensors) if (!isConstant(tensor)) nameOf(tensor);
  for (const { name, tensor } of graph.outputs) {
    if (publicNames.get(tensor) !== name)
      write.operation('identity', { x: nameOf(tensor) }, resultOf(tensor, name));
  }
}

/** The outputs' names for the tensors they are. An input, a constant or a second name of a tensor needs an operation of its own. */
function outputNames({ outputs }: Graph): ReadonlyMap<Tensor, string> {
  const names = new Map<Tensor, string>();
  for (const { name, tensor } of outputs) {
    if (tensor.op.kind !== 'input' && !isConstant(tensor) && !names.has(tensor)) names.set(tensor, name);
  }
  return names;
}

function isConstant({ op }: Tensor): boolean {
  return op.kind === 'weight' || op.kind === 'constant';
}

function describe(
  inputs: readonly Result[],
  outputs: readonly Result[],
  { features, version, ...texts }: PackageDescription,
): ModelDescription {
  const describeFeature = ({ name, dtype, shape }: Result): FeatureDescription => {
    const dataType = milElement(dtype).array;
    if (dataType === undefined) throw new Error(`${name}: an input or output cannot be ${dtype}`);
    return {
      name,
      shortDescription: features[name] ?? '',
      type: { multiArrayType: { shape, dataType }, isOptional: false },
    };
  };
  return {
    input: inputs.map(describeFeature),
    output: outputs.map(describeFeature),
    predictedFeatureName: '',
    predictedProbabilitiesName: '',
    state: [],
    functions: [],
    defaultFunctionName: '',
    trainingInput: [],
    metadata: { ...texts, versionString: version },
  };
}
