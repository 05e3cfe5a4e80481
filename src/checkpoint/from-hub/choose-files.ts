import { NotFoundError, RequestError } from '../../errors.ts';
import type { HubId } from '../../hub/hub-id.ts';
import type { Snapshot } from '../../hub/snapshot.ts';
import { shellWord } from '../../io/shell-word.ts';
import { readModelIndex } from '../model-index.ts';
import {
  filesForConversion,
  type Selection,
  singleFiles,
  variantsIn,
  withoutWeights,
} from './files-for-conversion.ts';

/** Files of a snapshot to download, and the model's file where it is a single file. */
export interface Choice {
  readonly names: readonly string[];
  readonly file?: string;
}

/** What a conversion needs from a repository. */
export type Wanted = Omit<Selection, 'parts'>;

/**
 * Chooses the files that a conversion needs, before any weights are downloaded. Throws `NotFoundError` for files
 * missing on the Hub or in the cache, `RequestError` when there are several checkpoints and none is named, and
 * `UnsupportedModelError` for pipelines that are not converted.
 */
export async function chooseForConversion(
  snapshot: Snapshot,
  { file }: HubId,
  wanted: Wanted,
): Promise<Choice> {
  const { names } = snapshot;
  if (file !== undefined) {
    if (names.includes(file)) return { names: [file], file };
    throw lacks(snapshot, file);
  }
  if (names.includes('model_index.json')) {
    await snapshot.bring(['model_index.json']);
    const { parts } = await readModelIndex(snapshot.folder);
    return { names: chooseFolder(snapshot, { ...wanted, parts }) };
  }
  if (names.includes('config.json')) return { names: chooseFolder(snapshot, wanted) };
  const files = singleFiles(names);
  const [only] = files;
  if (only !== undefined && files.length === 1) return { names: [only], file: only };
  throw files.length === 0 ? nothingToConvert(snapshot) : sayWhich(snapshot, files);
}

/** Folders of Core ML models in a repository: `original/packages`, `split_einsum/compiled`. */
export function coreMlVariants(names: readonly string[]): readonly string[] {
  const folders = names.flatMap((name) => /^(.+?)\/[^/]+\.(?:mlpackage|mlmodelc)\//.exec(name)?.[1] ?? []);
  return [...new Set(folders)].filter((folder) => !/\.(mlpackage|mlmodelc)(\/|$)/.test(folder)).sort();
}

/** Chooses the files of a diffusers folder, or of one component. */
function chooseFolder(snapshot: Snapshot, selection: Selection): readonly string[] {
  const { names, repo } = snapshot;
  const { variant } = selection;
  const variants = variantsIn(names);
  if (variant && !variants.includes(variant)) {
    if (snapshot.isCached) throw lacks(snapshot, `${variant} weights`);
    throw new NotFoundError({
      problem: `${repo} has no ${variant} weights.`,
      details: variants.length > 0 ? { 'it has': `plain, ${variants.join(', ')}` } : {},
      advice: 'Leave out --variant to use the plain weights.',
    });
  }
  const missing = withoutWeights(names, selection).filter(
    // Folders that the Hub lacks entirely are not an error here: opening the checkpoint reports them. The cache does not
    // show what the Hub has, and repositories often name a safety checker that they lack.
    (folder) =>
      (snapshot.isCached && folder !== 'safety_checker') ||
      names.some((name) => folder === '' || name.startsWith(`${folder}/`)),
  );
  if (missing.length > 0) {
    const folders = missing.map((folder) => folder || repo).join(', ');
    // An earlier conversion of other networks did not need them.
    if (snapshot.isCached) throw lacks(snapshot, `weights of ${folders}`, download(snapshot, variant));
    throw lacks(snapshot, `weights of ${folders} as .safetensors or .bin`);
  }
  return filesForConversion(names, selection);
}

/** The error for something that a repository, or the cache of it, does not have; `command` brings it into the cache. */
export function lacks(
  { repo, commit, isCached, names }: Snapshot,
  what: string,
  command = 'this',
): NotFoundError {
  if (isCached) {
    return new NotFoundError({
      problem: `the cache does not hold all of ${repo}: it has no ${what}.`,
      details: { commit },
      advice: `Run ${command} once without --offline (and without HF_HUB_OFFLINE) to download the rest.`,
    });
  }
  const files = singleFiles(names);
  return new NotFoundError({
    problem: `${repo} has no ${what}.`,
    details: { commit, ...(files.length > 0 ? { 'it has': shortList(files) } : {}) },
    advice: 'Check the spelling, or choose another repository of the model.',
  });
}

/** The error for several files of which none is named. */
export function sayWhich(
  { repo }: Snapshot,
  files: readonly string[],
  what = 'checkpoints in single files',
): RequestError {
  return new RequestError({
    problem: `${repo} has ${files.length} ${what}: say which one.`,
    details: { files: shortList(files) },
    advice: `Write it after the repository: ${shellWord(`${repo}/${files[0]}`)}`,
  });
}

function nothingToConvert(snapshot: Snapshot): NotFoundError {
  const { repo, names } = snapshot;
  const [variant] = coreMlVariants(names);
  return new NotFoundError({
    problem: `${repo} has no checkpoint: neither model_index.json nor config.json nor a single weight file.`,
    details: { 'it has': names.length > 0 ? shortList(names) : 'no files' },
    advice: variant
      ? `It has Core ML models that are ready: ${download(snapshot, variant)}`
      : 'Choose a repository that has a diffusers folder or a .safetensors file.',
  });
}

/** The command that downloads from the repository and revision of a snapshot. Names of its folders are anybody's words. */
function download({ repo, revision }: Snapshot, variant: string | undefined): string {
  const options = Object.entries({ revision, variant }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  return ['sdconvert', 'download', repo, ...options].map((word) => shellWord(word)).join(' ');
}

/** The first names of a list. */
export function shortList(names: readonly string[]): string {
  return names.length > 12 ? `${names.slice(0, 12).join(', ')}, … (${names.length})` : names.join(', ');
}
