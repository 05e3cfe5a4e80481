import { readFileSync } from 'node:fs';
import type { Checkpoint } from '../../src/weights/checkpoint.ts';
import { type HeaderComponent, headerCheckpoint } from './header-checkpoint.ts';

/**
 * A published model as its configs and tensor lists (`test/fixtures/full-size`): everything is there but the numbers,
 * and a weight that is read throws.
 */
export function fullSizeCheckpoint(name: 'sd15' | 'sd21-base' | 'sd21'): Checkpoint {
  const path = new URL(`../fixtures/full-size/${name}.json`, import.meta.url);
  // as: the fixture is ours; test/python/make_full_size_lists.py writes it so.
  const lists = JSON.parse(readFileSync(path, 'utf8')) as Record<string, HeaderComponent>;
  return headerCheckpoint(lists, name);
}
