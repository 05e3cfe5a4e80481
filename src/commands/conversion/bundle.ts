import { join } from 'node:path';
import { linkFlatNames } from '../../bundle/flat-names.ts';
import {
  fileForClient,
  replacedScheduler,
  SCHEDULER_FILE,
  schedulerNote,
} from '../../bundle/profiles/folder-files.ts';
import { guernikaMetadata } from '../../bundle/profiles/guernika-metadata.ts';
import type { ClientName, Profile } from '../../bundle/profiles/profile.ts';
import { profiles } from '../../bundle/profiles/profiles.ts';
import { bundleSwiftResources, swiftResourcePaths } from '../../bundle/swift-resources.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { SideFile } from '../../checkpoint/side-file.ts';
import type { Context } from '../../context.ts';
import type { Sizes } from '../../convert/contracts/contract.ts';
import { componentOf, networkKind } from '../../convert/networks/networks.ts';
import type { WrittenFile } from '../../formats/artifact.ts';
import { type ArtifactId, nameOf } from '../../formats/artifact-id.ts';
import { bundleCoreAi, coreAiFolderFiles } from '../../formats/coreai/bundle/bundle-folder.ts';
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
import { clientsOf } from './clients.ts';
import { pipelineSettingsOf } from './pipeline-settings.ts';
import type { ConvertedArtifact, ConvertRequest, ConvertResult } from './request.ts';
import type { Written } from './write.ts';

/** Adds the files that clients load next to the models, such as configs, tokenizers and `Resources`. */
export function bundleStage(request: ConvertRequest): Stage<Written, ConvertResult> {
  return {
    name: 'bundle',
    async run({ checkpoint, output, artifacts, verdicts }, context) {
      const folders: string[] = [];
      const known = (await readProvenance(output))?.artifacts ?? {};
      for (const bundle of bundlesOf(request)) {
        const { folder, target } = bundle.profile;
        const own = artifactsOf(bundle, artifacts).map(({ id, path }) => ({
          id,
          path,
          files: known[path]?.files ?? [],
        }));
        const { compiler, sizes } = request;
        const place = { ...bundle, output, compiler, sizes };
        const files = await bundlers[target].bundle(checkpoint, own, place, context);
        if (files.length > 0) await recordBundle(output, folder, files);
        folders.push(join(output, folder));
      }
      const bundled = bundledPaths(request, checkpoint, artifacts);
      return { output: { output, artifacts, bundled, verdicts }, detail: folders.join(', ') };
    },
  };
}

/** Paths that bundling writes, relative to the output. */
export function bundledPaths(
  request: Pick<ConvertRequest, 'targets' | 'clients'>,
  checkpoint: Checkpoint,
  artifacts: readonly ConvertedArtifact[],
): string[] {
  return bundlesOf(request).flatMap((bundle) => {
    const { folder, target } = bundle.profile;
    const paths = bundlers[target].paths(checkpoint, artifactsOf(bundle, artifacts), bundle.profile);
    return paths.map((path) => `${folder}/${path}`);
  });
}

/** A folder that a client loads. */
interface Bundle {
  readonly client: ClientName;
  readonly profile: Profile;
}

/** A bundle for each client; those that load the same folder share one. */
function bundlesOf(request: Pick<ConvertRequest, 'targets' | 'clients'>): Bundle[] {
  const bundles = new Map<string, Bundle>();
  for (const client of clientsOf(request)) {
    const profile = profiles[client];
    if (!bundles.has(profile.folder)) bundles.set(profile.folder, { client, profile });
  }
  return [...bundles.values()];
}

/** The artifacts in the form that a bundle's client loads. */
function artifactsOf(
  { profile: { target, form, networks } }: Bundle,
  artifacts: readonly ConvertedArtifact[],
): ConvertedArtifact[] {
  return artifacts.filter(
    (artifact) =>
      artifact.target === target &&
      artifact.client === form?.client &&
      networks.includes(networkKind(artifact.id.network)),
  );
}

/** An artifact in the output. */
interface BundledArtifact {
  readonly id: ArtifactId;
  /** Relative to the output. */
  readonly path: string;
  readonly files: readonly WrittenFile[];
}

/** Bundles a target's artifacts for its clients. */
interface Bundler {
  /** Paths that `bundle` writes, relative to the profile's folder. */
  paths(
    checkpoint: Checkpoint,
    artifacts: readonly Omit<BundledArtifact, 'files'>[],
    profile: Profile,
  ): string[];
  bundle(
    checkpoint: Checkpoint,
    artifacts: readonly BundledArtifact[],
    place: Bundle & { readonly output: string; readonly compiler: Compiler; readonly sizes: Sizes },
    context: Context,
  ): Promise<WrittenFile[]>;
}

const bundlers: { readonly [K in TargetName]: Bundler } = {
  onnx: {
    paths: (checkpoint, artifacts, { flatNames = {} }) => [
      ...onnxFolderFiles(checkpoint, configured(checkpoint, artifacts)).map(({ name }) => name),
      ...Object.entries(flatNames).flatMap(([network, name]) =>
        artifacts.some(({ id }) => id.network === network) ? name : [],
      ),
    ],
    async bundle(checkpoint, artifacts, { client, profile, output }, { onProgress }) {
      const folder = join(output, profile.folder);
      const edit = (name: string, json: Readonly<Record<string, unknown>>) => {
        const replaced = name === SCHEDULER_FILE && replacedScheduler(profile, json);
        if (replaced) onProgress?.({ type: 'note', message: schedulerNote(client, replaced) });
        return fileForClient(profile, name, json);
      };
      const written = await bundleOnnxFolder(checkpoint, configured(checkpoint, artifacts), folder, edit);
      return [...written, ...(await linkFlatNames(profile, folder, artifacts))];
    },
  },
  coreml: {
    paths: (checkpoint, artifacts, { form }) =>
      form ? [] : swiftResourcePaths(artifacts, tokenizerOf(checkpoint)),
    async bundle(checkpoint, artifacts, { profile, output, compiler }, context) {
      // What is in a form of its own is complete.
      if (profile.form) return [];
      const packages = artifacts.map(({ id, path, files }) => ({ id, path: join(output, path), files }));
      const { scheduler } = await pipelineSettingsOf(checkpoint);
      const metadata = profile.settingsInMetadata ? guernikaMetadata(scheduler) : undefined;
      const { outputNames } = profile;
      const resources = { packages, tokenizer: tokenizerOf(checkpoint), compiler, metadata, outputNames };
      return bundleSwiftResources(resources, join(output, profile.folder), context);
    },
  },
  coreai: {
    paths: (checkpoint) => coreAiFolderFiles(tokenizerOf(checkpoint)),
    async bundle(checkpoint, _, { profile, output, sizes }, context) {
      const settings = await pipelineSettingsOf(checkpoint);
      const contents = { checkpoint, settings, sizes, tokenizer: tokenizerOf(checkpoint) };
      return bundleCoreAi(contents, join(output, profile.folder), context);
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
