import { openSync, writeSync } from 'node:fs';
import type { Format } from './format.ts';
import { huntFormat, type Stretch } from './hunt-format.ts';
import { workAtOnce } from './quick-disk.ts';
import type { Tally } from './tally.ts';

/** What a worker is at. */
export interface Progress {
  /** The input that is being read; `undefined` at the end. */
  readonly input?: number | undefined;
  readonly tally: Tally;
}

/**
 * Reads inputs of one of these formats; the process's arguments are its name and a `Stretch` as JSON. What it is at stands in
 * `<folder>/progress` at any time, for `watch.ts` to read.
 */
export async function work(formats: readonly Format[]): Promise<void> {
  const [name = '', text = ''] = process.argv.slice(2);
  const stretch: Stretch = JSON.parse(text);
  const format = formats.find((each) => each.name === name);
  if (!format) throw new Error(`there is no format ${name}`);
  workAtOnce();
  const file = openSync(`${stretch.folder}/progress`, 'w');
  // Over the beginning of what was said before.
  const say = (progress: Progress): void => void writeSync(file, `${JSON.stringify(progress)}\n`, 0);
  say({ tally: await huntFormat(format, stretch, (input, tally) => say({ input, tally })) });
}
