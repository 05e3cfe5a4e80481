import { join } from 'node:path';
import { bundleFolder, bundleSwiftResources, type SwiftPackage } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath, wholePath } from '../formats/artifact-id.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import { readProvenance, recordBundle } from '../formats/provenance.ts';
import { exists, listFolder } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** Packages to bundle. */
export interface BundleRequest {
  /** Folder of Core ML packages. */
  readonly folder: string;
  /** Folder with `vocab.json` and `merges.txt`; `onnx/tokenizer` next to the packages when left out. */
  readonly tokenizer?: string | undefined;
  readonly compiler: Compiler;
}

/** Defaults of `bundlePackages`. */
export const bundleDefaults = { compiler: 'own' } as const satisfies Partial<BundleRequest>;

/** Options of `bundlePackages`; only `folder` is required. */
export type BundleOptions = OptionsOf<BundleRequest, typeof bundleDefaults>;

/**
 * Makes `Resources` from the packages in a folder. Throws `NotFoundError` when there are no packages or no such tokenizer,
 * `RequestError` for two packages of one network, and what `bundleSwiftResources` throws.
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
  const packages = await packagesIn(folder, context);
  if (wanted !== undefined && !(await exists(wanted)))
    throw notFound(wanted, 'Name the folder of a tokenizer.');
  const resources = join(folder, 'Resources');
  const tokenizer = await filesOf(wanted ?? join(folder, 'onnx', 'tokenizer'));
  const isRecorded = (await readProvenance(folder)) !== undefined;
  const files = await bundleSwiftResources({ packages, tokenizer, compiler }, resources, context);
  if (isRecorded) await recordBundle(folder, 'Resources', files);
  return { folder: resources, files };
}

/**
 * The packages of a folder that are networks of Stable Diffusion, by their names or else by their inputs and outputs;
 * a note names each that is none. Throws `NotFoundError` where there are none, `RequestError` for two of one network.
 */
async function packagesIn(folder: string, { onProgress }: Context): Promise<SwiftPackage[]> {
  const leaveOut = (path: string, why: string) =>
    onProgress?.({ type: 'note', message: `${path} is left out: ${why}.` });
  const chosen = new Map<string, ModelInFolder>();
  const packages: SwiftPackage[] = [];
  // Names go before content: what is called otherwise may be somebody's copy.
  const models = (await modelsIn(folder)).filter(({ format }) => format === 'mlpackage');
  for (const model of models.toSorted((a, b) => Number(b.isNamed) - Number(a.isNamed))) {
    const { network, isInChunks, paths } = model;
    const [path = ''] = paths;
    if (network === undefined) {
      leaveOut(path, 'neither its name nor its inputs are those of a network of Stable Diffusion');
      continue;
    }
    const bundle = bundleFolder({ id: { network }, path: wholePath(path) });
    // A whole network may lie beside its chunks.
    const form = `${bundle}, ${isInChunks ? 'in chunks' : 'whole'}`;
    const other = chosen.get(form);
    if (other?.isNamed === model.isNamed) throw twoOfOne(folder, other, model);
    if (other) leaveOut(path, `${other.paths[0]} is the ${network} by its name`);
    else {
      chosen.set(form, model);
      packages.push(...paths.map((each) => ({ id: { network, chunk: parsePath(each).chunk }, path: each })));
    }
  }
  if (packages.length > 0) return packages;
  throw new NotFoundError({
    problem: `${folder} contains no Core ML packages of Stable Diffusion.`,
    advice: 'Name the output folder of a conversion with --target coreml.',
  });
}

function twoOfOne(folder: string, one: ModelInFolder, other: ModelInFolder): RequestError {
  return new RequestError({
    problem: `${folder} has two packages of one network: ${one.name}.`,
    details: { found: `${one.paths[0]}, ${other.paths[0]}` },
    advice:
      'Move one of them away, or let their names end in what they are (_unet, _refiner, _text_encoder, _text_encoder_2, …).',
  });
}

async function filesOf(folder: string): Promise<string[]> {
  return (await exists(folder)) ? (await listFolder(folder)).map((name) => join(folder, name)) : [];
}
