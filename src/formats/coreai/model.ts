import { UnsupportedModelError } from '../../errors.ts';
import type { Artifact } from '../artifact.ts';
import type { ModelName } from '../artifact-id.ts';
import { type Asset, assetContents, assetFiles } from './asset.ts';
import { quantizeProgram } from './quantize/quantize-program.ts';

/** Wraps a built or open asset; an open one must stay open until all models made from it are written. */
export function coreAiModel(asset: Asset, name: ModelName): Artifact {
  const artifact: Artifact = {
    name,
    files: () => assetFiles(asset),
    contents: async () => assetContents(asset),
    forClient: () => artifact,
    rewritten(plan) {
      const { program, weights } = quantizeProgram(asset.program, plan);
      return { artifact: coreAiModel({ ...asset, program }, name), weights };
    },
    cut() {
      throw new UnsupportedModelError({
        problem: 'Core AI models are not cut into chunks: their clients load each network as one asset.',
        advice: 'Leave out the chunks; --quantize-nbits 8 or 4 makes a large network fit.',
      });
    },
  };
  return artifact;
}
