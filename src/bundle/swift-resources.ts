import { join } from 'node:path';
import { placeSideFile, type SideFile, sideFileCalled, sideFileName } from '../checkpoint/side-file.ts';
import { swiftVocabulary } from '../checkpoint/swift-vocabulary.ts';
import { type Context, throwIfInterrupted } from '../context.ts';
import { networkKind } from '../convert/networks/networks.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import {
  type ArtifactId,
  controlNetOrigin,
  isWrittenName,
  nameOf,
  parsePath,
} from '../formats/artifact-id.ts';
import { type Compiler, compileWith } from '../formats/coreml/compiled/compilers.ts';
import type { ModelDescription } from '../formats/coreml/mil/mil-schema.ts';
import { hashUnseen } from '../formats/damage.ts';
import { formatOfEnding, modelName } from '../formats/format.ts';
import { forgetProvenance, recordBegun } from '../formats/replaced-paths.ts';
import { listFolder, removePath } from '../io/disk.ts';
import { filesBelow, sizeOfFile } from '../io/file-sizes.ts';
import type { Hashed } from '../io/hashing/write-hashed.ts';

/** A package to be compiled. */
export interface SwiftPackage {
  readonly id: ArtifactId;
  readonly path: string;
  /** Files written into it, where known: their weights need not be hashed again. */
  readonly files?: readonly WrittenFile[];
}

/** Sources of `Resources`. */
export interface SwiftResources {
  readonly packages: readonly SwiftPackage[];
  /** The files of the checkpoint's tokenizer; `vocab.json` and `merges.txt` are taken. */
  readonly tokenizer: readonly SideFile[];
  readonly compiler: Compiler;
  /** Metadata that compiled models have besides those of their packages. */
  readonly metadata?: ModelMetadata | undefined;
  /** Names that outputs of compiled models have instead of those of their packages. */
  readonly outputNames?: Readonly<Record<string, string>> | undefined;
}

/** Metadata of a compiled model, by key. */
export type ModelMetadata = (
  id: ArtifactId,
  description: ModelDescription,
) => Readonly<Record<string, string>>;

const TOKENIZER_FILES = ['vocab.json', 'merges.txt'] as const;

/** Lists the paths below `Resources` of the bundles of packages and the tokenizer's files. */
export function swiftResourcePaths(
  packages: readonly Pick<SwiftPackage, 'id' | 'path'>[],
  tokenizer: readonly SideFile[],
): string[] {
  const files = TOKENIZER_FILES.filter((name) => tokenizer.some((file) => sideFileName(file) === name));
  return [...withoutChunkedWholes(packages).map(bundleFolder), ...files];
}

/**
 * Fills the `Resources` folder that Apple's Swift package and apps like Mochi Diffusion load: a compiled model for each
 * package, and the tokenizer's two files. Each appears complete or not at all, in the place of an earlier one; what else
 * is in the folder stays, but never a whole network beside its chunks. Gives the files it wrote, by path below the folder.
 * A note tells when the tokenizer lacks a file. Throws `InterruptedError`, and as `compileWith` does.
 */
export async function bundleSwiftResources(
  { tokenizer, ...models }: SwiftResources,
  folder: string,
  context: Context = {},
): Promise<WrittenFile[]> {
  const vocabulary = await swiftVocabulary(tokenizer); // first: a tokenizer that is none costs no compiling, and leaves nothing
  const written = await compileBundles(models, folder, context);
  for (const name of TOKENIZER_FILES) {
    const file = sideFileCalled(vocabulary, name);
    if (file !== undefined) written.push({ name, ...(await placeSideFile(file, join(folder, name))) });
    else
      context.onProgress?.({
        type: 'note',
        message: `the tokenizer has no ${name}: ${folder} cannot be loaded without it.`,
      });
  }
  return written;
}

/** The compiled models of `bundleSwiftResources` alone; other forms of their networks go. Throws as that does. */
export async function compileBundles(
  { packages, compiler, metadata, outputNames }: Omit<SwiftResources, 'tokenizer'>,
  folder: string,
  { onProgress, signal }: Context = {},
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  const wanted = withoutChunkedWholes(packages);
  const bundles = new Set(wanted.map(bundleFolder));
  for (const [done, swiftPackage] of wanted.entries()) {
    throwIfInterrupted(signal);
    const { id, path, files = [] } = swiftPackage;
    const bundle = bundleFolder(swiftPackage);
    onProgress?.({ type: 'progress', stage: 'bundle', what: bundle, done, total: wanted.length });
    await recordBegun(join(folder, bundle));
    const added = metadata && ((description: ModelDescription) => metadata(id, description));
    await compileWith(compiler, path, join(folder, bundle), { signal, metadata: added, outputNames });
    for await (const { name: file } of filesBelow(join(folder, bundle))) {
      const hashed = knownWeights(file, files) ?? (await hash(join(folder, bundle, file), signal));
      written.push({ name: `${bundle}/${file}`, ...hashed });
    }
  }
  for (const name of await listFolder(folder)) {
    if (bundles.has(name) || !isReplaced(name, wanted)) continue;
    await forgetProvenance(join(folder, name));
    await removePath(join(folder, name));
  }
  return written;
}

/** The packages without those of whole networks whose chunks are there. */
function withoutChunkedWholes<P extends Pick<SwiftPackage, 'id'>>(packages: readonly P[]): P[] {
  const chunked = new Set(packages.filter(({ id }) => id.chunk).map(({ id }) => id.network));
  return packages.filter(({ id }) => id.chunk || !chunked.has(id.network));
}

/** `unet_chunk2` → `UnetChunk2.mlmodelc`, `ControlNet_me_canny.mlpackage` → `controlnet/MeCanny.mlmodelc`. */
export function bundleFolder({ id, path }: Pick<SwiftPackage, 'id' | 'path'>): string {
  const bundle = `${nameOf(id, { by: 'swift', origin: controlNetOrigin(modelName(path)) })}.mlmodelc`;
  return networkKind(id.network) === 'controlnet' ? `controlnet/${bundle}` : bundle;
}

/** Whether a folder is an earlier form (whole, or in chunks) of a network that was bundled. */
function isReplaced(name: string, packages: readonly SwiftPackage[]): boolean {
  if (formatOfEnding(name) !== 'mlmodelc') return false;
  const { network } = parsePath(name);
  // Only what apps load: what else is called like the network is somebody's own.
  return isWrittenName(modelName(name), 'mlmodelc') && packages.some(({ id }) => id.network === network);
}

/** Hash of a bundle's file if it is known from its package: weights are the same file in both. */
function knownWeights(file: string, inPackage: readonly WrittenFile[]): Hashed | undefined {
  const known = file.startsWith('weights/')
    ? inPackage.find(({ name }) => name.endsWith(`/${file}`))
    : undefined;
  return known && { byteLength: known.byteLength, sha256: known.sha256 };
}

async function hash(path: string, signal: AbortSignal | undefined): Promise<Hashed> {
  return { byteLength: await sizeOfFile(path), sha256: await hashUnseen(path, signal) };
}
