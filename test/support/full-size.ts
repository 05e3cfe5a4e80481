import { readFileSync } from 'node:fs';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { type HeaderComponent, headerCheckpoint } from './header-checkpoint.ts';

/** The published models that are here; the ControlNets, the inpainting UNet, the safety checker and TAESD without the rest of a checkpoint. */
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
  | 'taesd';

/**
 * A published model as its configs and tensor lists (`test/fixtures/full-size`): everything is there but the numbers,
 * and a weight that is read throws.
 */
export function fullSizeCheckpoint(name: FullSizeModel): Checkpoint {
  const path = new URL(`../fixtures/full-size/${name}.json`, import.meta.url);
  // as: the fixture is ours; test/python/make_full_size_lists.py writes it so.
  const lists = JSON.parse(readFileSync(path, 'utf8')) as Record<string, HeaderComponent>;
  return headerCheckpoint(lists, name);
}
