import { posix } from 'node:path';
import { NotFoundError, RequestError, UnsupportedModelError } from '../../errors.ts';
import { type HubId, isWeightFile } from '../../hub/hub-id.ts';
import type { Snapshot } from '../../hub/snapshot.ts';
import { shellWord } from '../../io/shell-word.ts';
import { LORA_SETTINGS, loraFileNames } from '../lora/lora-defaults.ts';
import {
  type Choice,
  chooseForConversion,
  coreMlVariants,
  lacks,
  sayWhich,
  shortList,
  type Wanted,
} from './choose-files.ts';

/**
 * What a repository is wanted for, which decides the files that are needed of it: `measured` is an ONNX UNet with what draws
 * with it.
 */
export type Purpose =
  | 'checkpoint'
  | 'lora'
  | 'inversion'
  | 'models'
  | 'onnx'
  | 'packages'
  | 'measured'
  | 'reference'
  | 'inspection';

/** Chooses files for each purpose. They throw as `chooseForConversion` does. */
export const choosers: {
  readonly [P in Purpose]: (snapshot: Snapshot, id: HubId, wanted: Wanted) => Promise<Choice> | Choice;
} = {
  checkpoint: chooseForConversion,
  lora: chooseLora,
  inversion: chooseInversion,
  models: (snapshot, id) => chooseModels(snapshot, id),
  onnx: (snapshot, id) => chooseModels(snapshot, id, isOfOnnx),
  packages: (snapshot, id) => chooseModels(snapshot, id, isInPackage),
  measured: chooseMeasured,
  reference: (snapshot, id, wanted) =>
    isOfModels(snapshot, id) ? chooseModels(snapshot, id) : chooseForConversion(snapshot, id, wanted),
  async inspection(snapshot, id, wanted) {
    if (isOfModels(snapshot, id)) return chooseModels(snapshot, id);
    try {
      return await chooseForConversion(snapshot, id, wanted);
    } catch (error) {
      // What is not converted is described all the same.
      if (!(error instanceof UnsupportedModelError || error instanceof NotFoundError)) throw error;
      const names = snapshot.names.filter((name) => isWeightFile(name) || isText(name));
      if (id.file !== undefined || names.length === 0) throw error;
      return { names };
    }
  },
};

/** The file of a LoRA, and PEFT's settings beside it. */
function chooseLora(snapshot: Snapshot, { file }: HubId): Choice {
  const { names } = snapshot;
  if (file !== undefined) {
    if (!names.includes(file)) throw lacks(snapshot, file);
    const settings = posix.join(posix.dirname(file), LORA_SETTINGS);
    return { names: [file, ...names.filter((name) => name === settings)], file };
  }
  return chooseLora(snapshot, { repo: snapshot.repo, file: onlyFile(snapshot, loraFileNames, 'LoRA') });
}

/** The file of a textual inversion. */
function chooseInversion(snapshot: Snapshot, { file }: HubId): Choice {
  const chosen = file ?? onlyFile(snapshot, inversionFileNames, 'textual inversion');
  if (!snapshot.names.includes(chosen)) throw lacks(snapshot, chosen);
  return { names: [chosen], file: chosen };
}

/** What diffusers saves textual inversions as, the preferred first. */
const inversionFileNames = ['learned_embeds.safetensors', 'learned_embeds.bin'];

/** The file of weights in a repository: one that is called as usual, or the only one. */
function onlyFile(snapshot: Snapshot, usual: readonly string[], what: string): string {
  const files = snapshot.names.filter((name) => /^[^/]+\.(safetensors|bin|pt)$/.test(name));
  const known = usual.find((name) => files.includes(name));
  const [only, ...others] = known === undefined ? files : [known];
  if (only === undefined) throw lacks(snapshot, `${what}: there is no .safetensors, .bin or .pt`);
  if (others.length > 0) throw sayWhich(snapshot, files, `${what}s`);
  return only;
}

/** An ONNX UNet, and the text encoder, tokenizer and scheduler beside it. */
function chooseMeasured(snapshot: Snapshot, { file, folder }: HubId): Choice {
  const { names } = snapshot;
  const wanted = file ?? (folder === undefined ? 'unet/model.onnx' : `${folder}/model.onnx`);
  const isWanted = (name: string) => name === wanted || (file === undefined && name.endsWith(`/${wanted}`));
  // onnx/ goes before the folders of clients, onnx-openvino/ and others.
  const [unet] = names.filter(isWanted).sort((a, b) => a.length - b.length);
  if (unet === undefined) throw lacks(snapshot, wanted);
  const models = posix.dirname(posix.dirname(unet));
  const beside = ['unet', 'text_encoder', 'tokenizer', 'scheduler'].map((name) => posix.join(models, name));
  const folders = new Set([models, posix.dirname(unet), ...beside]);
  const isThere = (name: string) => folders.has(posix.dirname(name)) && (isOfOnnx(name) || isText(name));
  return { names: names.filter(isThere), file: unet };
}

/**
 * Ready-made models: one file with its data, a package, or all of a kind that are in a folder. Throws `RequestError` where it
 * is not said which.
 */
function chooseModels(snapshot: Snapshot, id: HubId, isWanted = isInModel): Choice {
  const { names, repo } = snapshot;
  const { file } = id;
  if (file !== undefined) {
    if (!names.includes(file)) throw lacks(snapshot, file);
    const isBeside = (name: string): boolean =>
      posix.dirname(name) === posix.dirname(file) && !name.endsWith('.onnx') && !isOfCheckpoint(name);
    return { names: [file, ...names.filter(isBeside)], file };
  }
  const variants = coreMlVariants(names);
  const hasOnnx = names.some((name) => name.endsWith('.onnx'));
  if (variants.length > 1 && !hasOnnx) {
    throw new RequestError({
      problem: `${repo} has ${variants.length} folders of Core ML models: say which one.`,
      details: { folders: variants.join(', ') },
      advice: `Write it after the repository: ${shellWord(`hf://${repo}/${variants[0]}`)}`,
    });
  }
  const inModels = names.filter((name) => isWanted(name) || (isText(name) && !isInFolder(name)));
  if (isModelFolder(id.folder) || inModels.some(isWanted))
    return { names: isModelFolder(id.folder) ? names : inModels };
  throw new NotFoundError({
    problem: `${repo} has no model that can be run, of ONNX, Core ML or Core AI.`,
    details: { 'it has': names.length > 0 ? shortList(names) : 'no files' },
    advice: names.some(isOfCheckpoint)
      ? `Convert it first: sdconvert ${shellWord(repo)}`
      : 'Choose a repository that has such models.',
  });
}

/** Whether what is named are ready-made models and not a checkpoint. */
function isOfModels({ names }: Snapshot, { file, folder }: HubId): boolean {
  if (file !== undefined) return file.endsWith('.onnx');
  return isModelFolder(folder) || (!names.some(isOfCheckpoint) && names.some(isInModel));
}

function isModelFolder(folder = ''): boolean {
  return isInFolder(`${folder}/`);
}

function isInModel(name: string): boolean {
  return isInFolder(name) || isOfOnnx(name);
}

/** Whether a file is of a model that is a folder, in any format. */
function isInFolder(name: string): boolean {
  return isInPackage(name) || /\.aimodel\//.test(name);
}

function isInPackage(name: string): boolean {
  return /\.(mlpackage|mlmodelc)\//.test(name);
}

function isOfOnnx(name: string): boolean {
  return !isInFolder(name) && /\.(onnx|onnx_data(_\d+)?|data|pb)$/.test(name);
}

function isOfCheckpoint(name: string): boolean {
  return /\.(safetensors|ckpt|pt|pth|gguf|msgpack|h5)$/i.test(name);
}

function isText(name: string): boolean {
  return /\.(json|txt|model|ya?ml)$/.test(name);
}
