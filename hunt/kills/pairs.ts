import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import { inProject } from '../formats/seeds.ts';
import { emptyTally, type Keep } from '../tally.ts';
import { type Ended, sdconvertProcess } from './sdconvert-process.ts';
import { differences, leftovers, type Tree, treeOf } from './tree.ts';

const convert = [
  ...[
    'convert',
    '--model-version',
    inProject('test/fixtures/tiny-autoencoder'),
    '-o',
    'out',
    '--target',
    'onnx',
  ],
  ...['--latent-h', '8', '--latent-w', '8'],
];

/** Two runs into one output: what each is told, and what each runs within. */
interface Pair {
  readonly name: string;
  readonly options: readonly (readonly string[])[];
  readonly within?: readonly string[];
}

/** Processes that number their processes for themselves, as containers do. */
const ownNumbers = ['unshare', '-Urp', '--fork', '--kill-child'];

const pairs: readonly Pair[] = [
  { name: 'same options', options: [[], []] },
  { name: 'other options', options: [[], ['--precision', 'float32']] },
  { name: 'same options in namespaces', options: [[], []], within: ownNumbers },
  {
    name: 'other options in namespaces',
    options: [[], ['--precision', 'float32']],
    within: ownNumbers,
  },
];

/**
 * Starts two conversions into one output at once, again and again. One of them must be there whole afterwards, byte for byte
 * as without the other; the other must have said that somebody writes there or that something else is there, or have found
 * its own result.
 */
export async function huntPairs(rounds: number, keep: Keep): Promise<true> {
  await makeRandomWeights();
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-pairs-'));
  try {
    for (const pair of pairs) {
      if (pair.within && !(await canUnshare(folder))) continue;
      const tally = emptyTally();
      const alone: Tree[] = [];
      for (const options of pair.options) alone.push(await treeAlone(folder, options));
      for (let round = 0; round < rounds; round++) {
        const wrong = await tryPair(pair, alone, folder);
        tally.inputs++;
        if (wrong === undefined) tally.accepted++;
        else tally.findings.push({ input: round, what: wrong });
      }
      keep(`pair with ${pair.name}`, tally);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return true;
}

async function treeAlone(folder: string, options: readonly string[]): Promise<Tree> {
  const place = freshFolder(folder);
  await sdconvertProcess([...convert, ...options], { cwd: place });
  return treeOf(place);
}

async function tryPair(
  { options, within }: Pair,
  alone: readonly Tree[],
  folder: string,
): Promise<string | undefined> {
  const place = freshFolder(folder);
  const ended = await Promise.all(
    options.map((own) => sdconvertProcess([...convert, ...own], { cwd: place, within })),
  );
  const tree = treeOf(place);
  const rest = leftovers(tree);
  if (rest.length > 0) return `left behind: ${rest.join(', ')}`;
  const winners = ended.filter(({ code }) => code === 0);
  if (winners.length === 0) return `neither came through: ${ended.map(({ output }) => output).join('; ')}`;
  const whole = ended.findIndex(
    ({ code }, index) => code === 0 && differences(tree, alone[index] ?? tree).length === 0,
  );
  if (whole < 0) return 'what is there is neither of the two';
  const wrong = ended.find(
    (each, index) =>
      index !== whole && !saysSo(each, differences(alone[0] ?? tree, alone[1] ?? tree).length === 0),
  );
  return wrong && `the other ended with ${wrong.code}: ${wrong.output}`;
}

/** Whether the one that did not write says why, or came so late that its own result was there. */
function saysSo({ code, output }: Ended, isSame: boolean): boolean {
  if (code === 0) return isSame;
  return code === 1 && /another run is writing into|already exists|another run has just changed/.test(output);
}

function freshFolder(folder: string): string {
  const place = join(folder, 'place');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  return place;
}

async function canUnshare(folder: string): Promise<boolean> {
  if (!existsSync('/proc/self/ns/pid')) return false;
  const { code } = await sdconvertProcess(['--version'], { cwd: folder, within: ownNumbers });
  return code === 0;
}
