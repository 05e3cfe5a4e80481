import { join } from 'node:path';
import { bundleSwiftResources, type SwiftPackage } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import { networkKinds } from '../convert/networks/networks.ts';
import { NotFoundError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import { CONTROLNET_PREFIX } from '../formats/coreml/swift-names.ts';
import { artifactsIn } from '../formats/open.ts';
import { readProvenance, recordBundle } from '../formats/provenance.ts';
import { exists, listFolder } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** What to bundle. */
export interface BundleRequest {
  /** A folder with packages. */
  readonly folder: string;
  /** A folder with `vocab.json` and `merges.txt`; that of the `onnx` folder beside the packages when left out. */
  readonly tokenizer?: string | undefined;
  readonly compiler: Compiler;
}

/** What `bundlePackages` does when nothing else is asked for. */
export const bundleDefaults = { compiler: 'own' } as const satisfies Partial<BundleRequest>;

/** Only `folder` is needed. */
export type BundleOptions = OptionsOf<BundleRequest, typeof bundleDefaults>;

/**
 * Makes `Resources` in a folder of packages that exist. Throws `NotFoundError` where there are none or no such tokenizer,
 * and as `bundleSwiftResources` does.
 */
export async function bundlePackages(
  options: BundleOptions,
  context: Context = {},
): Promise<{ readonly folder: string; readonly files: readonly WrittenFile[] }> {
  checkRequest('bundle', options);
  const {
    folder,
    tokenizer: wanted,
    compiler,
  } = withDefaults<BundleRequest, typeof bundleDefaults>(bundleDefaults, options);
  const packages = (await artifactsIn(folder)).flatMap(({ format, place }): SwiftPackage[] => {
    const { network, chunk } = parsePath(place);
    return format === 'mlpackage' && network ? [{ id: { network, chunk }, path: place }] : [];
  });
  if (packages.length === 0) {
    throw new NotFoundError({
      problem: `${folder} holds no packages of Stable Diffusion.`,
      details: {
        'looked for': `*_${networkKinds.join('.mlpackage, *_')}.mlpackage, chunks of these, and ${CONTROLNET_PREFIX}*.mlpackage`,
      },
      advice: 'Name the output folder of a conversion with --target coreml.',
    });
  }
  if (wanted !== undefined && !(await exists(wanted)))
    throw notFound(wanted, 'Name the folder of a tokenizer.');
  const resources = join(folder, 'Resources');
  const tokenizer = await filesOf(wanted ?? join(folder, 'onnx', 'tokenizer'));
  const isRecorded = (await readProvenance(folder)) !== undefined;
  const files = await bundleSwiftResources({ packages, tokenizer, compiler }, resources, context);
  if (isRecorded) await recordBundle(folder, 'Resources', files);
  return { folder: resources, files };
}

async function filesOf(folder: string): Promise<string[]> {
  return (await exists(folder)) ? (await listFolder(folder)).map((name) => join(folder, name)) : [];
}
