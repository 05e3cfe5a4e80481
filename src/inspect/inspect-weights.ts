import { basename, dirname, join } from 'node:path';
import { findWeightFile, openComponentWeights } from '../checkpoint/component-weights.ts';
import { familyOf, familyTitles } from '../checkpoint/family.ts';
import { describeLora, type LoraFacts } from '../checkpoint/lora/describe-lora.ts';
import {
  type RecognizedWeights,
  recognizeWeights,
  useCheckpoint,
  type WeightsKind,
} from '../checkpoint/recognize/weight-file-kind.ts';
import { recognizeFile } from '../checkpoint/recognize-file.ts';
import { readSingleFile } from '../checkpoint/single-file/open-single-file.ts';
import { configBeside } from '../checkpoint/single-file/yaml-beside.ts';
import { SdConvertError } from '../errors.ts';
import { exists, listFolder, openFile, pathKind } from '../io/disk.ts';
import { sizeOfFile } from '../io/file-sizes.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { weightFormat } from '../io/sniff.ts';
import { isRecordedBeside, networkOf, recordedNames } from '../run/tensor-names.ts';
import { dtypeName } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import { openWeightFile } from '../weights/weight-file.ts';
import { groupWeights, plainWeight, sumOf } from '../weights/weight-groups.ts';
import { inspectOpened } from './inspect-checkpoint.ts';
import type { CheckpointInspection, Inspection, WeightsInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** More tensors than a recording has. */
const MOST_VALUES = 64;

/**
 * Looks at a file of tensors, or at the weights in a component's folder; a checkpoint in a single file is described as a
 * checkpoint. Throws as opening them does.
 */
export async function inspectWeights(path: string): Promise<WeightsInspection | CheckpointInspection> {
  const isFolder = (await pathKind(path)) === 'folder';
  const opened = await (isFolder ? openFolder(path) : openOne(path));
  const { weights, files, metadata, close } = opened;
  try {
    const format = await formatOf(files);
    const known = isFolder ? recognizeWeights(weights, path) : await recognizeFile(path, weights);
    const problems: string[] = [];
    let refusal: Inspection['next'] | undefined;
    if (known?.kind === 'checkpoint' && !isFolder) {
      try {
        return await inspectOpened(
          await readSingleFile({ size: 0, ...opened, path }, { configured: await configBeside(path) }),
          format,
        );
      } catch (error) {
        problems.push(problemOf(error));
        refusal = adviceOf(error);
      }
    }
    const lora = known?.kind === 'lora' && !isFolder ? await loraFacts(path, problems) : null;
    const folder = isFolder ? path : dirname(path);
    const className = await configClass(folder);
    const family = familyOf(weights);
    const familyTitle = lora?.family ?? (family ? familyTitles[family] : null);
    const groups = groupWeights([...weights.values()].map(plainWeight));
    const { what, next } = recognize(await placesOf(path, isFolder, files), weights, known, familyTitle);
    const isComponent = className !== null && (await exists(join(folder, '..', 'model_index.json')));
    return {
      kind: 'weights',
      path,
      format,
      what,
      className,
      family: familyTitle,
      lora,
      files: await Promise.all(
        files.map(async (file) => ({ name: basename(file), byteLength: await sizeOfFile(file) })),
      ),
      ...sumOf(groups),
      weights: groups,
      values: weights.size > MOST_VALUES ? [] : [...weights.values()].map(value),
      metadata,
      problems,
      next: refusal ?? (isComponent ? nextCommand('inspect', join(folder, '..')) : next),
    };
  } finally {
    await close();
  }
}

async function openOne(path: string) {
  return { ...(await openWeightFile(path)), files: [path] };
}

async function openFolder(path: string) {
  return { ...(await openComponentWeights(path)), metadata: {} };
}

/** How commands name weights. */
interface Places {
  /** What was inspected. */
  readonly path: string;
  /** The component's folder where it has a config, which says what names and shapes do not; else the file. */
  readonly component: string;
  /** The only file. */
  readonly file: string | undefined;
  /** The folder of a shard, where the index of all of them is in it. */
  readonly shards: string | undefined;
}

async function placesOf(path: string, isFolder: boolean, files: readonly string[]): Promise<Places> {
  const folder = dirname(path);
  const names = isFolder ? [] : await listFolder(folder);
  const weights = findWeightFile(names);
  const isOfFolder = names.includes('config.json') && weights === basename(path);
  return {
    path,
    component: isOfFolder ? folder : path,
    file: files.length === 1 ? files[0] : undefined,
    shards: weights?.endsWith('.json') ? folder : undefined,
  };
}

/** A LoRA whose parts do not fit is described all the same, as a file of tensors. */
async function loraFacts(path: string, problems: string[]): Promise<LoraFacts | null> {
  try {
    return await describeLora(path);
  } catch (error) {
    problems.push(problemOf(error));
    return null;
  }
}

async function formatOf([file]: readonly string[]): Promise<WeightsInspection['format']> {
  if (file === undefined) return 'safetensors';
  const source = await openFile(file);
  try {
    const start = new Uint8Array(Math.min(source.size, 16));
    await source.read(start, 0);
    const format = weightFormat(start);
    if (format === 'gguf') return 'GGUF';
    return format === 'safetensors' ? 'safetensors' : 'PyTorch';
  } finally {
    await source.close();
  }
}

/** Recognises a file of tensors by their names. */
function recognize(
  places: Places,
  weights: ReadonlyMap<string, Weight>,
  known: RecognizedWeights | undefined,
  family: string | null,
): Pick<WeightsInspection, 'what' | 'next'> {
  const all = [...weights.keys()];
  if (known)
    return { what: known.what, next: nextFor(known.kind, places, family) ?? { advice: known.advice } };
  const network = networkOf(all);
  const borders = network && recordedNames(network);
  if (borders && all.every((name) => isRecordedBeside(name, borders.inputs, borders.outputs))) {
    return {
      what: `recorded inputs and outputs of the ${network}`,
      next: nextCommand('validate', 'MODEL', '--reference', places.path),
    };
  }
  return {
    what: all.length === 0 ? 'a file without tensors' : 'tensors of no kind that is known',
    next: { advice: 'Give the diffusers folder of a checkpoint: the one that holds model_index.json.' },
  };
}

/** The command that weights are for; `undefined` where none is. */
function nextFor(kind: WeightsKind, places: Places, family: string | null): Inspection['next'] | undefined {
  if (/-\d+-of-\d+\./.test(basename(places.path)))
    return places.shards === undefined
      ? { advice: 'It is one of several files: copy the others beside it, and their .index.json.' }
      : nextCommand('inspect', places.shards);
  if (kind === 'textual inversion')
    return {
      ...nextCommand('generate', '-i', 'OUT', '--prompt', 'PROMPT', '--textual-inversion', places.path),
      where: 'OUT is a conversion of the checkpoint that it was trained for, and PROMPT has its token.',
    };
  if (kind === 'unet')
    return places.file === undefined
      ? { advice: useCheckpoint } // several files are converted as part of one only
      : nextCommand('convert', '--model-version', places.file);
  const options = optionsFor(kind, places);
  return (
    options && {
      ...nextCommand('convert', '--model-version', 'CHECKPOINT', ...options),
      where: `CHECKPOINT is a checkpoint${family ? ` of ${family}` : ''}.`,
    }
  );
}

function optionsFor(kind: WeightsKind, { path, component }: Places): readonly string[] | undefined {
  switch (kind) {
    case 'lora':
      return ['--lora', `${path}:1`];
    case 'controlnet':
      return ['--convert-controlnet', component];
    case 'vae':
      return ['--custom-vae-version', component];
    default:
      return undefined;
  }
}

async function configClass(folder: string): Promise<string | null> {
  const file = join(folder, 'config.json');
  if (!(await exists(file))) return null;
  const { _class_name: className, architectures } = await readJsonObject(file);
  const [architecture] = Array.isArray(architectures) ? architectures : [];
  const found = [className, architecture].find((name) => typeof name === 'string');
  return found ?? null;
}

function value({ name, dtype, shape, coding }: Weight) {
  return { name, dtype: coding?.name ?? dtypeName(dtype), shape };
}

/** Advice for a checkpoint that cannot be converted as it is. */
function adviceOf(error: unknown): Inspection['next'] | undefined {
  return error instanceof SdConvertError && error.advice ? { advice: error.advice } : undefined;
}

function problemOf(error: unknown): string {
  if (error instanceof SdConvertError) return error.problem;
  throw error;
}
