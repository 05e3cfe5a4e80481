import '../cli/memory.ts';
import { openSync, writeSync } from 'node:fs';
import { formats } from './formats/formats.ts';
import { huntFormat, type Stretch } from './hunt-format.ts';
import { readAtOnce } from './quick-disk.ts';
import type { Tally } from './tally.ts';

/**
 * Reads inputs of one format in a process of its own, with the command line's settings of memory. Its arguments are a
 * format and a `Stretch` as JSON; what it is at stands in `<folder>/progress` at any time, for `watch.ts` to read.
 */

/** What a worker is at. */
export interface Progress {
  /** The input that is being read; `undefined` at the end. */
  readonly input?: number | undefined;
  readonly tally: Tally;
}

const [name = '', text = ''] = process.argv.slice(2);
const stretch: Stretch = JSON.parse(text);
const format = formats.find((each) => each.name === name);
if (!format) throw new Error(`there is no format ${name}`);

readAtOnce();
const file = openSync(`${stretch.folder}/progress`, 'w');
const tally = await huntFormat(format, stretch, (input, soFar) => say({ input, tally: soFar }));
say({ tally });

function say(progress: Progress): void {
  writeSync(file, `${JSON.stringify(progress)}\n`, 0); // over the beginning of what was said before
}
