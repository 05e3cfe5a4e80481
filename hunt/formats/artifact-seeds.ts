import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RequestError } from '../../src/errors.ts';
import type { Artifact } from '../../src/formats/artifact.ts';
import { buildProgram } from '../../src/formats/coreai/lower/build-program.ts';
import { coreAiModel } from '../../src/formats/coreai/model.ts';
import { buildCoreMl } from '../../src/formats/coreml/build/build-model.ts';
import { compileMlPackage } from '../../src/formats/coreml/compiled/compile.ts';
import { milModel } from '../../src/formats/coreml/mil-artifact.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { onnxModel } from '../../src/formats/onnx/onnx-artifact.ts';
import { writeFiles } from '../../src/formats/write-files.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { planQuantization, type QuantizationPlan } from '../../src/quantize/plan.ts';
import { withPrecision } from '../../src/quantize/precision.ts';
import { smallNetwork, smallNumbers } from '../../test/quantize/small-network.ts';
import { everyCase, graphOfCases } from '../../test/support/op-cases/every-case.ts';
import type { Files } from '../format.ts';
import { wholeFolder } from './seeds.ts';

/** Small models, which are read soon, of every operation, and one for every form of a weight. */
function graphs(): Graph[] {
  const perGraph = 2;
  const ofCases = Array.from({ length: Math.ceil(everyCase.length / perGraph) }, (_, n) =>
    graphOfCases(everyCase.slice(n * perGraph, (n + 1) * perGraph)),
  );
  return [...ofCases.map((graph) => withPrecision(graph, 'float16')), smallNetwork(smallNumbers())];
}

const name = { network: 'unet', whole: 'unet' } as const;
const description = {
  shortDescription: 'd',
  author: 'a',
  license: 'l',
  version: '1',
  features: {},
  userDefined: {},
};

/** The artifact, and the same with its weights in fewer bits. */
function inForms(whole: Artifact, graph: Graph): Artifact[] {
  const isSmallNetwork = graph.inputs.some((input) => input.name === 'ids');
  if (!isSmallNetwork) return [whole];
  const forms = [
    { bits: 4 },
    { bits: 6, groupSize: 16 },
    { bits: 8, mode: 'linear-symmetric' },
    { bits: 4, mode: 'linear', groupSize: 16 },
  ] as const;
  return [whole, ...forms.flatMap((form) => rewritten(whole, planQuantization(form)))];
}

/** Not every format, and not every version of it, has every form. */
function rewritten(whole: Artifact, plan: QuantizationPlan): Artifact[] {
  try {
    return [whole.rewritten(plan).artifact];
  } catch (error) {
    if (error instanceof RequestError) return [];
    throw error;
  }
}

/** Written folders as inputs. Their weights are small: all that is in them is in memory. */
async function written(
  artifacts: readonly Artifact[],
  lay: (artifact: Artifact, folder: string) => Promise<string>,
): Promise<Files[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-hunt-seeds-'));
  try {
    const inputs: Files[] = [];
    for (const [number, artifact] of artifacts.entries())
      inputs.push(wholeFolder(await lay(artifact, join(folder, String(number))), /./));
    return inputs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** ONNX models as folders that hold a `model.onnx` and its data. */
export const onnxSeeds = once(() => {
  const artifacts = graphs().flatMap((graph) => inForms(onnxModel(buildOnnxModel(graph, {}), name), graph));
  return written(artifacts, async (artifact, folder) => {
    await writeFiles(folder, await artifact.contents(), () => {});
    return folder;
  });
});

/** Core ML packages. */
export const packageSeeds = once(() =>
  written(packages(), async (artifact, folder) => {
    await writeFiles(folder, await artifact.contents(), () => {});
    return folder;
  }),
);

/** Compiled Core ML models. */
export const compiledSeeds = once(() =>
  written(packages(), async (artifact, folder) => {
    await writeFiles(`${folder}.mlpackage`, await artifact.contents(), () => {});
    await compileMlPackage(`${folder}.mlpackage`, `${folder}.mlmodelc`);
    return `${folder}.mlmodelc`;
  }),
);

/** Core AI assets. */
export const assetSeeds = once(() => {
  const metadata = { author: 'a', creatorDefinedMetadata: { model: 'unet' } };
  const artifacts = graphs().flatMap((graph) =>
    inForms(coreAiModel({ program: buildProgram(graph), metadata }, name), graph),
  );
  return written(artifacts, async (artifact, folder) => {
    await writeFiles(folder, await artifact.contents(), () => {});
    return folder;
  });
});

/** Several formats begin with the same. */
function once(make: () => Promise<Files[]>): () => Promise<Files[]> {
  let made: Promise<Files[]> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function packages(): Artifact[] {
  return graphs().flatMap((graph) => {
    const models = (['macOS13', 'macOS15'] as const).map((target) =>
      buildCoreMl(graph, { target, description }),
    );
    return models.flatMap((model) => inForms(milModel(model, name, 'unet'), graph));
  });
}
