import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { SideFile } from '../checkpoint/side-file.ts';
import type { Context } from '../context.ts';
import type { Sizes } from '../convert/contracts/contract.ts';
import { componentOf } from '../convert/networks/networks.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { type ArtifactId, nameOf } from '../formats/artifact-id.ts';
import { bundleCoreAi, coreAiFolderFiles } from '../formats/coreai/bundle/bundle-folder.ts';
import type { FolderReading } from '../formats/coreai/bundle/check-assets.ts';
import { checkCoreAiFolder } from '../formats/coreai/bundle/check-folder.ts';
import { type Mending, mendCoreAi } from '../formats/coreai/bundle/mend-folder.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import type { TargetName } from '../formats/format.ts';
import {
  type BundledModel,
  bundleOnnxFolder,
  configOf,
  onnxFolderFiles,
} from '../formats/onnx/onnx-folder.ts';
import type { Provenance } from '../formats/provenance.ts';
import { pipelineSettingsOf } from '../formats/read-pipeline-settings.ts';
import { linkFlatNames } from './flat-names.ts';
import { checkCoreMlFolder } from './profiles/check-core-ml-folder.ts';
import { checkOnnxFolder } from './profiles/check-onnx-folder.ts';
import { fileForClient, replacedScheduler, SCHEDULER_FILE, schedulerNote } from './profiles/folder-files.ts';
import { guernikaMetadata } from './profiles/guernika-metadata.ts';
import type { ClientName, Profile } from './profiles/profile.ts';
import { bundleSwiftResources, swiftResourcePaths } from './swift-resources.ts';

/** A folder that a client loads. */
export interface Bundle {
  readonly client: ClientName;
  readonly profile: Profile;
}

/** An artifact in the output. */
interface BundledArtifact {
  readonly id: ArtifactId;
  /** Relative to the output. */
  readonly path: string;
  readonly files: readonly WrittenFile[];
}

/** What a target's clients load: how convert completes it, what they would refuse, and what mends that. */
interface Bundler {
  /** Paths that `bundle` writes, relative to the profile's folder. */
  paths(
    checkpoint: Checkpoint,
    artifacts: readonly Omit<BundledArtifact, 'files'>[],
    profile: Profile,
  ): string[];
  /** Adds the files that clients load next to the models. */
  bundle(
    checkpoint: Checkpoint,
    artifacts: readonly BundledArtifact[],
    place: Bundle & { readonly output: string; readonly compiler: Compiler; readonly sizes: Sizes },
    context: Context,
  ): Promise<WrittenFile[]>;
  /** Everything that a client would refuse in a folder, a sentence each. */
  check(
    client: ClientName,
    profile: Profile,
    folder: string,
    reading: FolderReading,
  ): Promise<readonly string[]>;
  /** How convert mends that, where the options on record are not enough; `undefined` where it cannot. */
  mend?(problems: readonly string[], record: Provenance | undefined): Mending | undefined;
}

export const bundlers: { readonly [K in TargetName]: Bundler } = {
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
    check: checkOnnxFolder,
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
    check: checkCoreMlFolder,
  },

  coreai: {
    paths: (checkpoint) => coreAiFolderFiles(tokenizerOf(checkpoint)),
    async bundle(checkpoint, _, { profile, output, sizes }, context) {
      const settings = await pipelineSettingsOf(checkpoint);
      const contents = { checkpoint, settings, sizes, tokenizer: tokenizerOf(checkpoint) };
      return bundleCoreAi(contents, join(output, profile.folder), context);
    },
    check: (_client, _profile, folder, reading) => checkCoreAiFolder(folder, reading),
    mend: mendCoreAi,
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
