import { filesIn } from '../../io/file-sizes.ts';
import { dtypeName } from '../../weights/dtype.ts';
import { groupWeights } from '../../weights/weight-groups.ts';
import type { ArtifactFacts, DeclaredValue, FactLines } from '../artifact.ts';
import { parsePath } from '../artifact-id.ts';
import type { CoreMlFacts } from './coreml-facts.ts';
import { type DeploymentTarget, deploymentTargets } from './deployment-target.ts';
import { milDTypes } from './mil/mil-dtype.ts';
import { featuresByFunction, type MilModel, mainFunction } from './mil/mil-model.ts';
import type { FeatureDescription } from './mil/mil-schema.ts';
import { milWeights } from './package/mil-weights.ts';

/** Reads the facts of an open Core ML model; with several functions, those of the default one. */
export async function coreMlFacts(model: MilModel): Promise<ArtifactFacts<'mlpackage' | 'mlmodelc'>> {
  const { path, description, specificationVersion, weights } = model;
  const main = mainFunction(model);
  const { input, output } = featuresByFunction(model)(main.name);
  const operations = main.block.operations.map(({ type }) => type).filter((type) => type !== 'const');
  const { metadata } = description;
  const texts = Object.entries({ version: metadata?.versionString, author: metadata?.author });
  return {
    chunk: parsePath(path).chunk,
    inputs: input.map(value),
    outputs: output.map(value),
    operations,
    weights: groupWeights(milWeights(main.block, weights)),
    files: await filesIn(path),
    metadata: {
      ...Object.fromEntries(texts.flatMap(([key, text]) => (text ? [[key, text]] : []))),
      ...metadata?.userDefined,
    },
    problems: [],
    own: {
      specificationVersion,
      opset: main.function.opset,
      deploymentTarget: deploymentTarget(main.function.opset),
      attention: attentionOf(new Set(operations)),
    },
  };
}

/** Versions and attention, for a person. */
export function describeCoreMl({
  opset,
  deploymentTarget,
  specificationVersion,
  attention,
}: CoreMlFacts): FactLines {
  return {
    opset: [
      opset,
      deploymentTarget && `from ${deploymentTarget} on`,
      `specification version ${specificationVersion}`,
    ],
    attention: attention && `${attention}, as apps tell it`,
  };
}

function deploymentTarget(opset: string): DeploymentTarget | null {
  for (const [name, target] of Object.entries(deploymentTargets)) {
    // as: Object.entries gives strings; the table has exactly these keys.
    if (target.opset === opset) return name as DeploymentTarget;
  }
  return null;
}

function attentionOf(operations: ReadonlySet<string>): CoreMlFacts['attention'] {
  if (operations.has('einsum')) return 'SPLIT_EINSUM';
  const attends = operations.has('softmax') || operations.has('scaled_dot_product_attention');
  return attends ? 'ORIGINAL' : null;
}

function value({ name, type }: FeatureDescription): DeclaredValue {
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
