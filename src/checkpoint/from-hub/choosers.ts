import { posix } from 'node:path';
import { NotFoundError, RequestError, UnsupportedModelError } from '../../errors.ts';
import { type HubId, isWeightFile } from '../../hub/hub-id.ts';
import type { Snapshot } from '../../hub/snapshot.ts';
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

/** What a repository is wanted for, which decides the files that are needed of it. */
export type Purpose = 'checkpoint' | 'lora' | 'models' | 'reference' | 'inspection';

/** Chooses files for each purpose. They throw as `chooseForConversion` does. */
export const choosers: {
  readonly [P in Purpose]: (snapshot: Snapshot, id: HubId, wanted: Wanted) => Promise<Choice> | Choice;
} = {
  checkpoint: chooseForConversion,
  lora: chooseLora,
  models: chooseModels,
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
  const files = names.filter((name) => /^[^/]+\.(safetensors|bin|pt)$/.test(name));
  const usual = loraFileNames.find((name) => files.includes(name));
  const [only, ...others] = usual === undefined ? files : [usual];
  if (only === undefined) throw lacks(snapshot, 'LoRA: there is no .safetensors, .bin or .pt');
  if (others.length > 0) throw sayWhich(snapshot, files, 'LoRAs');
  return chooseLora(snapshot, { repo: snapshot.repo, file: only });
}

/** Ready-made models: one file with its data, a package, or all that are in a folder. Throws `RequestError` where it is not said which. */
function chooseModels(snapshot: Snapshot, id: HubId): Choice {
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
      advice: `Write it after the repository: hf://${repo}/${variants[0]}`,
    });
  }
  const inModels = names.filter((name) => isInModel(name) || isText(name));
  if (isPackage(id.folder) || inModels.some(isInModel))
    return { names: isPackage(id.folder) ? names : inModels };
  throw new NotFoundError({
    problem: `${repo} has no model that can be run: neither ONNX nor Core ML.`,
    details: { 'it has': names.length > 0 ? shortList(names) : 'no files' },
    advice: 'Convert it first: sdconvert --model-version …',
  });
}

/** Whether what is named are ready-made models and not a checkpoint. */
function isOfModels({ names }: Snapshot, { file, folder }: HubId): boolean {
  if (file !== undefined) return file.endsWith('.onnx');
  return isPackage(folder) || (!names.some(isOfCheckpoint) && names.some(isInModel));
}

function isPackage(folder = ''): boolean {
  return /\.(mlpackage|mlmodelc)$/.test(folder);
}

function isInModel(name: string): boolean {
  return /\.(mlpackage|mlmodelc)\/|\.(onnx|onnx_data|data|pb)$/.test(name);
}

function isOfCheckpoint(name: string): boolean {
  return /\.(safetensors|ckpt|pt|pth|gguf|msgpack|h5)$/i.test(name);
}

function isText(name: string): boolean {
  return /\.(json|txt|model|ya?ml)$/.test(name);
}
