import { join } from 'node:path';
import { type Bundle, bundlers } from '../../bundle/bundlers.ts';
import { profiles } from '../../bundle/profiles/profiles.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { networkKind } from '../../convert/networks/networks.ts';
import { readProvenance, recordBundle } from '../../formats/provenance.ts';
import type { Stage } from '../../pipeline.ts';
import { clientsOf } from './clients.ts';
import type { ConvertedArtifact, ConvertRequest, ConvertResult } from './request.ts';
import type { Written } from './write.ts';

/** Adds the files that clients load next to the models, such as configs, tokenizers and `Resources`. */
export function bundleStage(request: ConvertRequest): Stage<Written, ConvertResult> {
  return {
    name: 'bundle',
    async run({ checkpoint, output, artifacts, verdicts }, context) {
      const folders: string[] = [];
      const known = (await readProvenance(output))?.artifacts ?? {};
      for (const { own, ...bundle } of bundlesOf(request, artifacts)) {
        const { folder, target } = bundle.profile;
        const models = own.map(({ id, path }) => ({ id, path, files: known[path]?.files ?? [] }));
        const { compiler, sizes } = request;
        const place = { ...bundle, output, compiler, sizes };
        const files = await bundlers[target].bundle(checkpoint, models, place, context);
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
  return bundlesOf(request, artifacts).flatMap(({ profile, own }) => {
    const { folder, target } = profile;
    return bundlers[target].paths(checkpoint, own, profile).map((path) => `${folder}/${path}`);
  });
}

/** A bundle with the artifacts that go into it. */
interface FilledBundle extends Bundle {
  readonly own: readonly ConvertedArtifact[];
}

/** A bundle for each client that loads any of the artifacts; clients that load the same folder share one. */
function bundlesOf(
  request: Pick<ConvertRequest, 'targets' | 'clients'>,
  artifacts: readonly ConvertedArtifact[],
): FilledBundle[] {
  const bundles = new Map<string, Bundle>();
  for (const client of clientsOf(request)) {
    const profile = profiles[client];
    if (!bundles.has(profile.folder)) bundles.set(profile.folder, { client, profile });
  }
  const filled = [...bundles.values()].map((each) => ({ ...each, own: artifactsOf(each, artifacts) }));
  return filled.filter(({ own }) => own.length > 0);
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
