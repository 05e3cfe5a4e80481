import { join } from 'node:path';
import type { Variant } from '../checkpoint/component-weights.ts';
import { chooseForConversion, coreMlVariants } from '../checkpoint/from-hub/choose-files.ts';
import { bring, inDownload } from '../checkpoint/from-hub/resolve-model.ts';
import type { Context } from '../context.ts';
import { NotFoundError, OutputExistsError, RequestError } from '../errors.ts';
import { sizeOf } from '../hub/hub-cache.ts';
import { type HubId, isOutput, isPlainPath, requireHubId } from '../hub/hub-id.ts';
import type { HubOptions } from '../hub/hub-options.ts';
import { type Snapshot, withSnapshot } from '../hub/snapshot.ts';
import { createFolder } from '../io/create-folders.ts';
import { copyFile, exists, linkFile } from '../io/disk.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { shellWord } from '../io/shell-word.ts';
import { checkRequest } from './check-request.ts';

/** Repository to download from, and what. */
export interface DownloadRequest extends HubOptions {
  /** `org/name`, or `org/name/file.safetensors`. */
  readonly repo: string;
  /**
   * For a checkpoint, which weights: `fp16` or `non_ema`. With a `/`, a folder of ready-made Core ML models:
   * `original/packages`.
   */
  readonly variant?: string | undefined;
  /** Folder for the files, besides the cache; when left out, only Core ML models get one, in `models/`. */
  readonly output?: string | undefined;
}

/** Files that were downloaded or were in the cache already. */
export interface Downloaded {
  /** Folder of the files: the output, or the snapshot in the cache. */
  readonly path: string;
  readonly repo: string;
  readonly commit: string;
  readonly files: readonly { readonly name: string; readonly byteLength: number }[];
  /** Notes for the user, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Downloads a checkpoint (only the files that a conversion needs) or a folder of ready-made Core ML models into the cache,
 * and links or copies the files into `output`. Existing files are reused where they have the hash that the Hub gives. Throws what
 * `resolveModel` throws.
 */
export async function download(request: DownloadRequest, context: Context = {}): Promise<Downloaded> {
  checkRequest('download', request);
  const id = requireHubId(request.repo, request.endpoint);
  const variant = request.variant ?? id.folder;
  const folder = isWeights(variant) ? undefined : checkFolder(id, variant);
  const output = request.output ?? (folder === undefined ? undefined : appleFolder(id, folder));
  return inDownload(context, (follower) =>
    withSnapshot(
      id.repo,
      { ...request, revision: id.revision ?? request.revision },
      follower,
      async (snapshot) => {
        const names = isWeights(variant)
          ? (await chooseForConversion(snapshot, id, { variant })).names
          : chooseFolder(snapshot, variant);
        if (output !== undefined) await refuseOther(snapshot, names, output);
        const { files, detail } = await bring(snapshot, names, context, true);
        if (output !== undefined) await layOut(snapshot, files, output);
        const path = output ?? snapshot.folder;
        return { output: { path, repo: snapshot.repo, commit: snapshot.commit, files }, detail };
      },
    ),
  );
}

function isWeights(variant: string | undefined): variant is Variant | undefined {
  return variant === undefined || /^((non_)?ema|b?fp?\d+\w*|int\d+)$/.test(variant);
}

function checkFolder({ file, folder }: HubId, variant: string): string {
  if (variant === folder) return variant; // of an address
  if (file === undefined && variant.includes('/') && isPlainPath(variant)) return variant;
  throw new RequestError({
    problem: `--variant ${variant} is neither a weight variant nor a folder of ready-made Core ML models.`,
    advice:
      'Write fp16 or non_ema for a checkpoint, or a folder such as original/packages or split_einsum/compiled.',
  });
}

/** Folder that Apple's instructions download to: `models/coreml-stable-diffusion-v1-4_original_packages`. */
function appleFolder({ repo }: HubId, folder: string): string {
  return join('models', `${repo.replace(/^.*\//, '')}_${folder.replaceAll('/', '_')}`);
}

function chooseFolder({ repo, names, isCached }: Snapshot, variant: string): readonly string[] {
  const inside = names.filter((name) => name.startsWith(`${variant}/`));
  if (inside.length > 0) return inside;
  const variants = coreMlVariants(names);
  throw new NotFoundError({
    problem: `${isCached ? 'the cache of ' : ''}${repo} has no folder ${variant}.`,
    details: { 'it has': variants.join(', ') || 'no ready-made Core ML models' },
    advice: variants[0]
      ? `Choose one of these folders: --variant ${shellWord(variants[0])}`
      : 'Convert a checkpoint instead: sdconvert --model-version …',
  });
}

/** Throws `OutputExistsError` for a checkpoint into the folder of a conversion or of another one: their files would mix. */
async function refuseOther(snapshot: Snapshot, names: readonly string[], output: string): Promise<void> {
  if (!names.includes(INDEX_FILE)) return;
  const there = join(output, INDEX_FILE);
  const isOther = async (): Promise<boolean> => {
    if (!(await exists(there))) return false;
    await snapshot.bring([INDEX_FILE]);
    return (await hashStream(there)) !== (await hashStream(join(snapshot.folder, INDEX_FILE)));
  };
  if (!(await isOutput(output)) && !(await isOther())) return;
  throw new OutputExistsError({
    problem: `${output} holds something else than ${snapshot.repo}: their files would mix.`,
    advice: 'Name another folder with -o.',
  });
}

const INDEX_FILE = 'model_index.json';

/** Weights, which nobody edits; people edit the other files, and many editors write in place. */
const weights = /\.(safetensors|bin|ckpt|pt|pth|gguf|onnx_data(_\d+)?)$/;

/**
 * Copies the files of the cache into the output, where the cache must not change with them, but gives weights a second name
 * there; those that are there already with the same bytes are kept. A model that is a folder appears whole.
 */
async function layOut(snapshot: Snapshot, files: Downloaded['files'], output: string): Promise<void> {
  const hash = oncePerFile((path) => hashStream(path));
  const isThere = async ({ name, byteLength }: Downloaded['files'][number]): Promise<boolean> => {
    const [source, path] = [join(snapshot.folder, name), join(output, name)];
    return (await sizeOf(path)) === byteLength && (await hash(path)) === (await hash(source));
  };
  const models = Object.groupBy(files, ({ name }) => modelFolder.exec(name)?.[0] ?? '');
  for (const [folder, own = []] of Object.entries(models)) {
    const missing = [];
    for (const file of own) if (!(await isThere(file))) missing.push(file.name);
    if (missing.length === 0) continue;
    if (folder === '')
      for (const name of missing) await place(join(snapshot.folder, name), join(output, name));
    else
      await createFolder(join(output, folder), async (growing) => {
        for (const { name } of own)
          await place(join(snapshot.folder, name), join(growing, name.slice(folder.length)));
      });
  }
}

/** The folder of a Core ML or Core AI model in a file's name. */
const modelFolder = /^.*?\.(mlpackage|mlmodelc|aimodel)(?=\/)/;

async function place(source: string, path: string): Promise<void> {
  await (weights.test(source) ? linkFile : copyFile)(source, path);
}
