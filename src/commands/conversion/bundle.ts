import { join } from 'node:path';
import { bundleSwiftResources, swiftResourcePaths } from '../../bundle/swift-resources.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { SideFile } from '../../checkpoint/side-file.ts';
import type { Context } from '../../context.ts';
import { componentOf } from '../../convert/networks/networks.ts';
import type { WrittenFile } from '../../formats/artifact.ts';
import { type ArtifactId, nameOf } from '../../formats/artifact-id.ts';
import type { Compiler } from '../../formats/coreml/compiled/compilers.ts';
import type { TargetName } from '../../formats/format.ts';
import {
  type BundledModel,
  bundleOnnxFolder,
  configOf,
  onnxFolderFiles,
} from '../../formats/onnx/onnx-folder.ts';
import { readProvenance, recordBundle } from '../../formats/provenance.ts';
import type { Stage } from '../../pipeline.ts';
import type { ConvertedArtifact, ConvertRequest, ConvertResult } from './request.ts';
import type { Written } from './write.ts';

/** Adds the files that consumers load next to the models, such as configs, tokenizers and `Resources`. */
export function bundleStage(request: ConvertRequest): Stage<Written, ConvertResult> {
  return {
    name: 'bundle',
    async run({ checkpoint, output, artifacts, verdicts }, context) {
      const folders: string[] = [];
      for (const name of request.targets) {
        const known = (await readProvenance(output))?.artifacts ?? {};
        const own = artifacts
          .filter(({ target }) => target === name)
          .map(({ id, path }) => ({ id, path, files: known[path]?.files ?? [] }));
        const { folder, bundle } = bundlers[name];
        const place = { folder: join(output, folder), output, compiler: request.compiler };
        await recordBundle(output, folder, await bundle(checkpoint, own, place, context));
        folders.push(place.folder);
      }
      const bundled = bundledPaths(request, checkpoint, artifacts);
      return { output: { output, artifacts, bundled, verdicts }, detail: folders.join(', ') };
    },
  };
}

/** Paths that bundling writes, relative to the output. */
export function bundledPaths(
  { targets }: Pick<ConvertRequest, 'targets'>,
  checkpoint: Checkpoint,
  artifacts: readonly ConvertedArtifact[],
): string[] {
  return targets.flatMap((name) => {
    const { folder, paths } = bundlers[name];
    const own = artifacts.filter(({ target }) => target === name);
    return paths(checkpoint, own).map((path) => `${folder}/${path}`);
  });
}

/** An artifact in the output. */
interface BundledArtifact {
  readonly id: ArtifactId;
  /** Relative to the output. */
  readonly path: string;
  readonly files: readonly WrittenFile[];
}

/** Bundles a target's artifacts for its consumers. */
interface Bundler {
  /** Folder of the bundle, relative to the output. */
  readonly folder: string;
  /** Paths that `bundle` writes, relative to the folder. */
  paths(checkpoint: Checkpoint, artifacts: readonly Omit<BundledArtifact, 'files'>[]): string[];
  bundle(
    checkpoint: Checkpoint,
    artifacts: readonly BundledArtifact[],
    place: { readonly folder: string; readonly output: string; readonly compiler: Compiler },
    context: Context,
  ): Promise<WrittenFile[]>;
}

const bundlers: { readonly [K in TargetName]: Bundler } = {
  onnx: {
    folder: 'onnx',
    paths: (checkpoint, artifacts) =>
      onnxFolderFiles(checkpoint, configured(checkpoint, artifacts)).map(({ name }) => name),
    bundle: (checkpoint, artifacts, { folder }) =>
      bundleOnnxFolder(checkpoint, configured(checkpoint, artifacts), folder),
  },
  coreml: {
    folder: 'Resources',
    paths: (checkpoint, artifacts) => swiftResourcePaths(artifacts, tokenizerOf(checkpoint)),
    bundle(checkpoint, artifacts, { folder, output, compiler }, context) {
      const packages = artifacts.map(({ id, path, files }) => ({ id, path: join(output, path), files }));
      const resources = { packages, tokenizer: tokenizerOf(checkpoint), compiler };
      return bundleSwiftResources(resources, folder, context);
    },
  },
};

/** Model folders with the configs that go into them. */
function configured(
  { components }: Checkpoint,
  artifacts: readonly { readonly id: ArtifactId }[],
): BundledModel[] {
  return artifacts.flatMap(({ id }) => {
    const component = components.get(componentOf(id.network));
    if (!component) return [];
    return [{ folder: nameOf(id), ...configOf(component) }];
  });
}

/** Files of the first tokenizer; a refiner has only the second. */
function tokenizerOf({ folders }: Checkpoint): readonly SideFile[] {
  return folders.get('tokenizer') ?? folders.get('tokenizer_2') ?? [];
}
