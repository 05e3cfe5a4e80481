import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { checkArguments, text } from '../io/check-call.ts';
import { exists } from '../io/disk.ts';
import { inFile } from '../io/in-file.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { createScheduler, type SchedulerConfig } from './schedulers/create-scheduler.ts';
import type { Scheduler } from './schedulers/scheduler.ts';

const FILE = 'scheduler_config.json';

/**
 * Reads a folder's `scheduler_config.json`, from the folder itself, its `scheduler` or its `onnx/scheduler`: a checkpoint,
 * a conversion or a scheduler's own folder. `as`: another scheduler class in its place, by any of its names.
 *
 * @example
 * const scheduler = await readScheduler('./stable-diffusion-v1-5', 'euler_a');
 * @throws NotFoundError when there is no such file, FileFormatError when it is not JSON, and what `createScheduler` throws.
 */
export async function readScheduler(folder: string, as?: string): Promise<Scheduler> {
  checkArguments('readScheduler', { folder: [folder, text] });
  for (const place of ['', 'scheduler', join('onnx', 'scheduler')]) {
    const path = join(folder, place, FILE);
    if (!(await exists(path))) continue;
    return schedulerIn(path, await readJsonObject(path), as);
  }
  throw new NotFoundError({
    problem: `${folder} has no ${FILE}.`,
    advice: 'Name a checkpoint, the output folder of a conversion, or the folder of a scheduler.',
  });
}

/** Creates the scheduler that a file describes, as `createScheduler` does; what it throws names the file. */
export function schedulerIn(file: string, config: SchedulerConfig, as?: string): Scheduler {
  try {
    return createScheduler(config, as);
  } catch (error) {
    throw inFile(error, file);
  }
}
