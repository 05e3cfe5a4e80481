import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { type HeaderComponent, headerCheckpoint } from './header-checkpoint.ts';

/** The UNets that were distilled from those of larger models. */
const distilledModels = [
  'bk-sdm-base',
  'bk-sdm-small',
  'bk-sdm-tiny',
  'ssd-1b',
  'segmind-vega',
  'koala-700m',
  'koala-1b',
] as const;

type DistilledModel = (typeof distilledModels)[number];

/** The published models that are here; the ControlNets, the inpainting UNet, the safety checker, TAESD and the distilled UNets without the rest of a checkpoint. */
export type FullSizeModel =
  | 'sd15'
  | 'sd15-inpainting'
  | 'sd21-base'
  | 'sd21'
  | 'sdxl'
  | 'sdxl-refiner'
  | 'controlnet-sd15'
  | 'controlnet-sd21'
  | 'controlnet-sdxl'
  | 'safety-checker'
  | 'taesd'
  | DistilledModel;

/**
 * A published model as its configs and tensor lists (`test/fixtures/full-size`): everything is there but the numbers,
 * and a weight that is read throws.
 */
export function fullSizeCheckpoint(name: FullSizeModel): Checkpoint {
  const isCompressed = distilledModels.some((each) => each === name);
  const path = new URL(`../fixtures/full-size/${name}.json${isCompressed ? '.gz' : ''}`, import.meta.url);
  const bytes = readFileSync(path);
  const text = (isCompressed ? gunzipSync(bytes) : bytes).toString();
  // as: the fixture is ours; test/python/make_full_size_lists.py writes it so.
  const lists = JSON.parse(text) as Record<string, HeaderComponent>;
  return headerCheckpoint(lists, name);
}
