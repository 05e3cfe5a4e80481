import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { WeightFile } from '../../src/weights/tensors-of-file.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { memoryWeight, unreadWeight } from './memory-weight.ts';

/** The models whose single files test/python/record_single_file_names.py recorded. */
export const recordedFiles = ['sd15', 'sd21', 'sdxl', 'sdxl-refiner', 'controlnet-sd15'] as const;

export type RecordedFile = (typeof recordedFiles)[number];

/** Each original name: its shape, and where diffusers puts it (`unet/conv_in.weight`). */
type Recording = Readonly<Record<string, readonly [shape: readonly number[], places: readonly string[]]>>;

/** What diffusers makes of a model's single file. */
export function recordedPlaces(name: RecordedFile): Recording {
  // as: the fixtures are ours; the script above writes them so.
  return readFixture(name) as Recording;
}

/** A small single file's names, and where each belongs. */
export function smallFilePlaces(): Readonly<Record<string, string>> {
  // as: the fixture is ours; see test/goldens/README.md.
  return readFixture('sd15-tiny') as Record<string, string>;
}

/** A model's single file at its real size: every name and shape, and not one number. */
export function recordedSingleFile(name: RecordedFile): WeightFile {
  const shapes = Object.entries(recordedPlaces(name)).map(([key, [shape]]) => [key, shape] as const);
  return headerFile(Object.fromEntries(shapes), `${name}.safetensors`);
}

/** A file of tensors that are known by their shapes alone; `file` of each is its own name there, so that it is known wherever it goes. */
export function headerFile(
  shapes: Readonly<Record<string, readonly number[]>>,
  path = 'model.safetensors',
  metadata: Readonly<Record<string, string>> = {},
): WeightFile {
  return fileOf(
    Object.entries(shapes).map(([name, shape]) => ({ ...headerWeight(name, shape), file: name })),
    path,
    metadata,
  );
}

/** All that is looked at of a file's numbers is a bias by which files of 2.x are told apart; zeros tell nothing. */
function headerWeight(name: string, shape: readonly number[]): Weight {
  const isTold =
    /(output_blocks\.11\.1|up_blocks\.3\.attentions\.2)\.transformer_blocks\.0\.norm1\.bias$/.test(name);
  return isTold ? memoryWeight(name, shape, new Float32Array(shape[0] ?? 0)) : unreadWeight(name, shape);
}

/** A file of these weights. */
function fileOf(
  weights: readonly Weight[],
  path = 'model.safetensors',
  metadata: Readonly<Record<string, string>> = {},
): WeightFile {
  return {
    path,
    size: 0,
    metadata,
    weights: new Map(weights.map((weight) => [weight.name, weight])),
    close: async () => {},
  };
}

function readFixture(name: string): unknown {
  const path = new URL(`../fixtures/single-file/${name}.json.gz`, import.meta.url);
  return JSON.parse(gunzipSync(readFileSync(path)).toString());
}
