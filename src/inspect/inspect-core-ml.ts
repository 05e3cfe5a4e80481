import { parsePath } from '../formats/artifact-id.ts';
import { openMlModelC } from '../formats/coreml/compiled/read-bundle.ts';
import { type DeploymentTarget, deploymentTargets } from '../formats/coreml/deployment-target.ts';
import { milDTypes } from '../formats/coreml/mil/mil-dtype.ts';
import { programFunctions } from '../formats/coreml/mil/mil-program.ts';
import type { FeatureDescription } from '../formats/coreml/mil/mil-schema.ts';
import { openMlPackage } from '../formats/coreml/package/read-package.ts';
import { dtypeName } from '../weights/dtype.ts';
import { filesIn } from './file-sizes.ts';
import type { CoreMlInspection, ValueInspection } from './inspection.ts';
import { milWeights } from './mil-weights.ts';
import { chunkText, countTypes, networkNamed, nextForModel } from './model-facts.ts';
import { groupWeights } from './weight-groups.ts';

const openers = { mlpackage: openMlPackage, mlmodelc: openMlModelC };

/** Looks at a Core ML package or compiled model; of several functions, at the one that runs by default. Throws as opening it does. */
export async function inspectCoreMl(kind: 'mlpackage' | 'mlmodelc', path: string): Promise<CoreMlInspection> {
  const model = await openers[kind](path);
  await model.close();
  const { description, program, specificationVersion } = model;
  const functions = programFunctions(program);
  const main = functions.find(({ name }) => name === description.defaultFunctionName) ?? functions[0];
  if (!main) throw new Error(`${path} has no functions, but was opened`);
  const { input, output } = description.functions.find(({ name }) => name === main.name) ?? description;
  const inputs = input.map(value);
  const types = main.block.operations.map(({ type }) => type).filter((type) => type !== 'const');
  const operations = countTypes(types);
  const network = networkNamed(inputs);
  const { metadata } = description;
  const texts = Object.entries({ version: metadata?.versionString, author: metadata?.author });
  return {
    kind,
    path,
    network,
    chunk: chunkText(parsePath(path).chunk),
    specificationVersion,
    opset: main.function.opset,
    deploymentTarget: deploymentTarget(main.function.opset),
    attention: attentionOf(operations),
    inputs,
    outputs: output.map(value),
    operations,
    weights: groupWeights(milWeights(main.block, model.weights)),
    files: await filesIn(path),
    metadata: {
      ...Object.fromEntries(texts.flatMap(([key, text]) => (text ? [[key, text]] : []))),
      ...metadata?.userDefined,
    },
    problems: [],
    next: nextForModel(path, network, []),
  };
}

function deploymentTarget(opset: string): DeploymentTarget | null {
  for (const [name, target] of Object.entries(deploymentTargets)) {
    // as: Object.entries gives strings; the table has exactly these keys.
    if (target.opset === opset) return name as DeploymentTarget;
  }
  return null;
}

function attentionOf(operations: Readonly<Record<string, number>>): CoreMlInspection['attention'] {
  if (operations.einsum) return 'SPLIT_EINSUM';
  return operations.softmax || operations.scaled_dot_product_attention ? 'ORIGINAL' : null;
}

function value({ name, type }: FeatureDescription): ValueInspection {
  const array = type?.multiArrayType ?? type?.stateType?.arrayType;
  if (!array) return { name, dtype: 'no array', shape: null };
  const ranges = array.shapeRange?.sizeRanges.map(({ lowerBound, upperBound }) =>
    lowerBound === upperBound ? lowerBound : `${lowerBound}…${upperBound < 0 ? '' : upperBound}`,
  );
  return { name, dtype: arrayDType(array.dataType), shape: ranges ?? array.shape };
}

function arrayDType(code: number): string {
  for (const [dtype, element] of Object.entries(milDTypes)) {
    // as: Object.entries gives strings; the table has exactly these keys.
    if ('array' in element && element.array === code) return dtypeName(dtype as keyof typeof milDTypes);
  }
  return `type ${code}`;
}
