import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import { inProject } from '../formats/seeds.ts';
import { sdconvertProcess } from '../kills/sdconvert-process.ts';
import { differences, type Tree, treeOf } from '../kills/tree.ts';
import { emptyTally, type Keep } from '../tally.ts';

/** One way to run the same conversion. */
interface Variation {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A command in front of it. */
  readonly within?: readonly string[];
  /** Folder that it runs in, below the one of the hunt. */
  readonly folder?: string;
  /** Lays out the checkpoint; linked where it is left out. */
  readonly lay?: (from: string, to: string) => void;
  /** Options in another order. */
  readonly isReversed?: boolean;
}

const masks = ['000', '022', '077'];
const locales = ['C', 'tr_TR.UTF-8', 'de_DE.UTF-8', 'ar_EG.UTF-8'];

const variations: readonly Variation[] = [
  ...['1', '2', '16'].map((threads) => ({
    name: `${threads} threads`,
    env: { UV_THREADPOOL_SIZE: threads },
  })),
  { name: 'one core', within: ['taskset', '-c', '0'] },
  ...locales.map((locale) => ({ name: locale, env: { LANG: locale, LC_ALL: locale, TZ: 'Asia/Kathmandu' } })),
  { name: 'deep folder', folder: `${'d'.repeat(100)}/${'e'.repeat(100)}/${'f'.repeat(100)}` },
  { name: 'folder of any letters', folder: 'a b\'c "d" $e;ü🙂' },
  ...masks.map((mask) => ({ name: `umask ${mask}`, within: ['sh', '-c', `umask ${mask}; exec "$@"`, 'sh'] })),
  { name: 'files in order', lay: (from, to) => copyInOrder(from, to, (names) => names.toSorted()) },
  {
    name: 'files in reverse',
    lay: (from, to) => copyInOrder(from, to, (names) => names.toSorted().reverse()),
  },
  { name: 'options in reverse', isReversed: true },
];

/** Each with an option and its values, so that options can change places. */
const options: readonly (readonly string[])[] = [
  ['--model-version', 'checkpoint'],
  ['-o', 'out'],
  ['--convert-unet'],
  ['--quantize-nbits', '4'],
  ['--max-chunk-size', '500kB'],
  ['--chunk-unet'],
];

/**
 * Runs one conversion (both targets, palettes, chunks) with other numbers of threads, locales, folders, masks and orders of its
 * inputs. All must write the same bytes.
 */
export async function huntDifferences(keep: Keep): Promise<true> {
  await makeRandomWeights();
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-same-'));
  const tally = emptyTally();
  try {
    const expected = await convertedIn(folder, { name: 'plain' });
    if (expected instanceof Error) throw expected;
    for (const [input, variation] of variations.entries()) {
      const found = await convertedIn(folder, variation);
      tally.inputs++;
      const wrong = found instanceof Error ? found.message : differences(expected, found).join(', ');
      if (wrong === '') tally.accepted++;
      else tally.findings.push({ input, what: `${variation.name}: ${wrong}` });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  keep('same bytes', tally);
  return true;
}

async function convertedIn(
  top: string,
  { env, within, folder = 'plain', lay = symlinkSync, isReversed = false }: Variation,
): Promise<Tree | Error> {
  const cwd = join(top, folder);
  rmSync(cwd, { recursive: true, force: true });
  mkdirSync(cwd, { recursive: true });
  lay(inProject('test/fixtures/variants/lcm'), join(cwd, 'checkpoint'));
  const args = ['convert', ...(isReversed ? options.toReversed() : options).flat()];
  const { code, output } = await sdconvertProcess(args, { cwd, env, within });
  return code === 0 ? treeOf(join(cwd, 'out')) : new Error(`it ended with ${code}: ${output}`);
}

/** Copies a folder so that the disk lists its files in another order. */
function copyInOrder(from: string, to: string, order: (names: string[]) => string[]): void {
  const entries = new Map(
    readdirSync(from, { recursive: true, withFileTypes: true }).map((entry) => [
      join(entry.parentPath, entry.name).slice(from.length),
      entry,
    ]),
  );
  for (const name of order([...entries.keys()])) {
    if (entries.get(name)?.isDirectory()) continue;
    mkdirSync(join(to, name, '..'), { recursive: true });
    writeFileSync(join(to, name), readFileSync(join(from, name)));
  }
}
