import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import { inProject } from '../formats/seeds.ts';
import { type Ended, sdconvertProcess } from '../kills/sdconvert-process.ts';
import { artifactsOf, differences, leftovers, type Tree, treeOf } from '../kills/tree.ts';
import { emptyTally, type Keep, type Tally } from '../tally.ts';

const checkpoint = inProject('test/fixtures/tiny-autoencoder');
const convert = ['convert', '--model-version', checkpoint, '-o', 'out', '--latent-h', '8', '--latent-w', '8'];

/** So many sizes, and so many numbers of files. */
const DISKS = 20;

/**
 * Converts onto disks (tmpfs) that are too small for it, or hold too few files. Each must end with the sentence that the disk is
 * full and leave only whole artifacts; with room, the same command must finish, byte for byte as on a large disk. Only root can
 * mount such disks: `false` for others.
 */
export async function huntDisks(keep: Keep): Promise<boolean> {
  await makeRandomWeights();
  const place = mkdtempSync(join(tmpdir(), 'sdconvert-disk-'));
  try {
    if (!mount(place, 'size=64M')) return false;
    const { code, output } = await run(place);
    const whole = treeOf(join(place, 'out'));
    const bytes = totalBytes(join(place, 'out'), whole);
    unmount(place);
    if (code !== 0) throw new Error(`the conversion does not work on a large disk: ${output}`);
    const sizes = spread(bytes / 2, bytes * 1.2).map((size) => `size=${Math.floor(size)}`);
    const files = spread(3, 2 * whole.size).map((count) => `nr_inodes=${Math.floor(count)}`);
    keep('disk of few bytes', await tryDisks(place, sizes, whole));
    keep('disk of few files', await tryDisks(place, files, whole));
    return true;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Numbers from the first to the last. */
function spread(first: number, last: number): number[] {
  return Array.from({ length: DISKS }, (_, at) => first + ((last - first) * at) / (DISKS - 1));
}

async function tryDisks(place: string, limits: readonly string[], whole: Tree): Promise<Tally> {
  const tally = emptyTally();
  for (const [input, limit] of limits.entries()) {
    mount(place, limit);
    try {
      const ended = await run(place);
      const wrong =
        wrongOnDisk(ended, treeOf(join(place, 'out')), whole) ?? (await wrongWithRoom(place, whole));
      tally.inputs++;
      if (wrong !== undefined) tally.findings.push({ input, what: `${limit}: ${wrong}` });
      else if (ended.code === 0) tally.accepted++;
      else tally.refused++;
    } finally {
      unmount(place);
    }
  }
  return tally;
}

function wrongOnDisk({ code, output }: Ended, tree: Tree, whole: Tree): string | undefined {
  if (code === 0) return different(tree, whole);
  if (code !== 1 || !/disk (is full|has no room)/.test(output)) return `it ended with ${code}: ${output}`;
  const rest = leftovers(tree);
  if (rest.length > 0) return `left behind: ${rest.join(', ')}`;
  const expected = artifactsOf(whole);
  for (const [artifact, files] of artifactsOf(tree))
    if (!artifact.endsWith('sdconvert.json') && different(files, expected.get(artifact) ?? new Map()))
      return `${artifact} is not whole`;
  return undefined;
}

async function wrongWithRoom(place: string, whole: Tree): Promise<string | undefined> {
  execFileSync('mount', ['-o', 'remount,size=64M,nr_inodes=10000', place]);
  const { code, output } = await run(place);
  if (code !== 0) return `with room it ends with ${code}: ${output}`;
  return different(treeOf(join(place, 'out')), whole);
}

function different(found: Tree, expected: Tree): string | undefined {
  const paths = differences(found, expected);
  return paths.length === 0 ? undefined : `other than on a large disk: ${paths.join(', ')}`;
}

function run(cwd: string): Promise<Ended> {
  return sdconvertProcess(convert, { cwd });
}

function totalBytes(folder: string, tree: Tree): number {
  return [...tree.keys()].reduce((sum, path) => sum + statSync(join(folder, path)).size, 0);
}

function mount(place: string, options: string): boolean {
  try {
    mkdirSync(place, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function unmount(place: string): void {
  execFileSync('umount', [place]);
}
