import { basename, dirname, join } from 'node:path';
import type { ModelName } from '../convert/contracts/contract.ts';
import { isRecordedBeside, networkOf } from '../validate/tensor-names.ts';
import { openComponentWeights } from '../weights/component-weights.ts';
import { exists, pathKind } from '../weights/disk.ts';
import { readJsonObject } from '../weights/python-json.ts';
import { recognizeWeights } from '../weights/recognize.ts';
import { openSafetensors } from '../weights/safetensors-file.ts';
import type { Weight } from '../weights/weight.ts';
import { familyOf } from './family.ts';
import { sizeOfFile } from './file-sizes.ts';
import type { SafetensorsInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';
import { dtypeName, groupWeights, plainWeight, sumOf } from './weight-groups.ts';

/** More tensors than a recording has. */
const MOST_VALUES = 64;

/** Looks at a safetensors file, or at the weights in a component's folder. Throws as opening them does. */
export async function inspectSafetensors(path: string): Promise<SafetensorsInspection> {
  const folder = (await pathKind(path)) === 'folder' ? path : dirname(path);
  const { weights, files, metadata, close } = await (path === folder ? openFolder(path) : openOne(path));
  await close();
  const groups = groupWeights([...weights.values()].map(plainWeight));
  const className = await configClass(folder);
  const root = join(folder, '..');
  const isComponent = className !== null && (await exists(join(root, 'model_index.json')));
  const { what, next } = recognize(path, weights.keys());
  return {
    kind: 'safetensors',
    path,
    what,
    className,
    family: familyOf(weights) ?? null,
    files: await Promise.all(
      files.map(async (file) => ({ name: basename(file), byteLength: await sizeOfFile(file) })),
    ),
    ...sumOf(groups),
    weights: groups,
    values: weights.size > MOST_VALUES ? [] : [...weights.values()].map(value),
    metadata,
    problems: [],
    next: isComponent ? nextCommand('inspect', root) : next,
  };
}

async function openOne(path: string) {
  return { ...(await openSafetensors(path)), files: [path] };
}

async function openFolder(path: string) {
  return { ...(await openComponentWeights(path)), metadata: {} };
}

/** What a file of tensors of these names is. */
function recognize(path: string, names: Iterable<string>): Pick<SafetensorsInspection, 'what' | 'next'> {
  const all = [...names];
  const known = recognizeWeights(all);
  if (known) return { what: known.what, next: { advice: known.advice } };
  const network = networkOf(all);
  const borders = network && recordings[network];
  if (borders && all.every((name) => isRecordedBeside(name, borders.inputs, borders.outputs))) {
    return {
      what: `recorded inputs and outputs of the ${network}`,
      next: nextCommand('validate', 'MODEL', '--reference', path),
    };
  }
  return {
    what: 'tensors of no kind that is known',
    next: { advice: 'Give the diffusers folder of a checkpoint: the one that holds model_index.json.' },
  };
}

/** What a recording of each network holds; other names for the same tensors are known to `isRecordedBeside`. */
const recordings: { readonly [K in ModelName]?: Readonly<Record<'inputs' | 'outputs', readonly string[]>> } =
  {
    text_encoder: { inputs: ['input_ids'], outputs: ['last_hidden_state'] },
    unet: { inputs: ['sample', 'timestep', 'encoder_hidden_states'], outputs: ['out_sample'] },
    vae_decoder: { inputs: ['latent_sample'], outputs: ['sample'] },
    vae_encoder: { inputs: ['sample'], outputs: ['latent_parameters'] },
  };

async function configClass(folder: string): Promise<string | null> {
  const file = join(folder, 'config.json');
  if (!(await exists(file))) return null;
  const { _class_name: className, architectures } = await readJsonObject(file);
  const [architecture] = Array.isArray(architectures) ? architectures : [];
  const found = [className, architecture].find((name) => typeof name === 'string');
  return found ?? null;
}

function value({ name, dtype, shape }: Weight) {
  return { name, dtype: dtypeName(dtype), shape };
}
