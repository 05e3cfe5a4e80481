import { basename, join } from 'node:path';
import type { Context } from '../context.ts';
import { networkKind } from '../convert/networks/networks.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { controlNetOrigin } from '../formats/artifact-id.ts';
import { clientPackagePath } from '../formats/client-form.ts';
import { modelName } from '../formats/format.ts';
import { intactRecordOf } from '../formats/kept.ts';
import { withArtifact } from '../formats/open.ts';
import { readProvenance, updateProvenance } from '../formats/provenance.ts';
import { copyForClient } from './copy-for-client.ts';
import type { ClientFolder } from './models-for-client.ts';
import { profiles } from './profiles/profiles.ts';
import type { SwiftPackage } from './swift-resources.ts';

/**
 * Writes packages, ours or Apple's, once more as ComfyUI's suite loads them. Weights of ours are linked. Returns the files
 * written. Throws as `copyForClient` does.
 */
export async function bundleComfyUi(
  { source, output }: ClientFolder,
  packages: readonly SwiftPackage[],
  context: Context = {},
): Promise<WrittenFile[]> {
  const { form } = profiles.comfyui;
  if (!form?.coreMl) throw new Error('comfyui has packages of its own');
  const known = await readProvenance(source);
  const written: WrittenFile[] = [];
  for (const { id, path } of packages) {
    const kind = networkKind(id.network);
    const record = known && (await intactRecordOf({ output: source, path: basename(path) }, context));
    const facts = await withArtifact(path, (artifact) => artifact.facts());
    const quantized = facts.weights.map(({ bits }) => bits).filter((bits) => bits <= 8);
    const { attention } = record?.options ?? {};
    const to = clientPackagePath(form, form.coreMl, {
      kind,
      stem: basename(known?.checkpoint?.name ?? controlNetOrigin(stemOf(path))),
      inputs: new Map(facts.inputs.map(({ name, shape }) => [name, (shape ?? []).map(Number)])),
      attention:
        attention === 'SPLIT_EINSUM_V2' || attention === 'SPLIT_EINSUM' || attention === 'ORIGINAL'
          ? attention
          : facts.operations.includes('einsum')
            ? 'SPLIT_EINSUM'
            : 'ORIGINAL',
      bits: quantized.length > 0 ? Math.max(...quantized) : undefined,
    });
    const copy = {
      from: path,
      folder: path,
      kind,
      record,
      canLink: record !== undefined,
      to: join(output, to),
      isRecorded: record !== undefined && source === output,
    };
    const files = await copyForClient(copy, form, context);
    for (const file of files) written.push({ ...file, name: `${basename(to)}/${file.name}` });
    if (!record || !copy.isRecorded) continue;
    const { version: _, ...made } = record;
    const entry = { ...made, options: { ...made.options, client: form.client }, files };
    await updateProvenance(output, { written: { [to]: entry } });
  }
  return written;
}

/** Name of the checkpoint in that of a package: `Stable_Diffusion_version_x_unet` → `x`. */
function stemOf(path: string): string {
  return modelName(path)
    .replace(/^Stable_Diffusion_version_/, '')
    .replace(/_(unet|text_encoder(_2)?|vae_(de|en)coder|control-unet)$/, '');
}
