/**
 * Measures what it costs that files are synced before they get their names: the same conversion with and without, in turns, so
 * that what else the machine and its disk do falls on both. Prints the medians and appends to benchmarks/results/sync.csv.
 *
 *     npm run bench:sync [-- --pairs N] [--checkpoint FOLDER]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measure } from './measure.ts';
import { appendRows, circumstances } from './results-file.ts';
import { median } from './statistics.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    checkpoint: { type: 'string', default: path('../models/sd-shapes') },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'sdconvert-sync-'));
const pairs: (readonly [synced: number, not: number])[] = [];
try {
  await seconds([]); // so that the disk's cache has the checkpoint
  for (let pair = 0; pair < Number(values.pairs); pair++)
    pairs.push([await seconds([]), await seconds(['--import', path('no-sync.ts')])]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const synced = median(pairs.map(([first]) => first));
const not = median(pairs.map(([, second]) => second));
const extra = median(pairs.map(([first, second]) => first - second));
appendRows(path('results/sync.csv'), [
  {
    ...circumstances(),
    checkpoint: basename(values.checkpoint),
    pairs: pairs.length,
    synced_s: synced.toFixed(2),
    not_synced_s: not.toFixed(2),
    median_difference_s: extra.toFixed(2),
  },
]);
console.log(
  `synced ${synced.toFixed(2)} s, not synced ${not.toFixed(2)} s; in pairs ${extra.toFixed(2)} s more`,
);

/** How long a conversion to both targets takes. */
async function seconds(imports: readonly string[]): Promise<number> {
  const output = join(folder, 'out');
  rmSync(output, { recursive: true, force: true });
  const args = ['convert', '--model-version', values.checkpoint, '-o', output];
  return (await measure([...imports, path('../cli/main.ts'), ...args])).wall;
}
