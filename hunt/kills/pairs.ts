import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import { inProject } from '../formats/seeds.ts';
import { emptyTally, type Keep } from '../tally.ts';
import { ownFolder } from './own-folder.ts';
import { download, hashes, manifest } from './scenarios/fetching.ts';
import { startOwnHub } from './scenarios/hub-repositories.ts';
import { autoencoder, convert, lay, modelsThatDraw, reports } from './scenarios/scenario.ts';
import { type Ended, sdconvertProcess } from './sdconvert-process.ts';
import { differences, leftovers, sameWhereVaries, type Tree, treeOf } from './tree.ts';

const toOnnx = [...convert, '--target', 'onnx'];
const otherwise = [...toOnnx, '--precision', 'float32'];

/** Two runs into one place: what each is told, what is there before, and what each runs within. */
interface Pair {
  readonly name: string;
  readonly commands: readonly [readonly string[], readonly string[]];
  prepare?(folder: string): Promise<void>;
  readonly within?: readonly string[];
  /** Files that tell of the time that passed. */
  readonly varies?: RegExp;
  /** What must have been built. */
  readonly needs?: string;
}

/** Processes that number their processes for themselves, as containers do. */
const ownNumbers = ['unshare', '-Urp', '--fork', '--kill-child'];

function same(...command: string[]): Pair['commands'] {
  return [command, command];
}

const quantize = (bits: string): string[] => ['quantize', 'unet', '--nbits', bits, '-o', 'small'];
const chunk = (size: string): string[] => ['chunk', 'unet', '--max-chunk-size', size, '-o', 'cut'];

async function conversion(folder: string): Promise<void> {
  await sdconvertProcess(toOnnx, { cwd: folder });
}

const pairs: readonly Pair[] = [
  { name: 'same options', commands: [toOnnx, toOnnx] },
  { name: 'other options', commands: [toOnnx, otherwise] },
  { name: 'same options in namespaces', commands: [toOnnx, toOnnx], within: ownNumbers },
  { name: 'other options in namespaces', commands: [toOnnx, otherwise], within: ownNumbers },
  { name: 'quantize', prepare: lay.onnx, commands: [quantize('8'), quantize('4')] },
  { name: 'chunk', prepare: lay.onnx, commands: [chunk('30kB'), chunk('20kB')] },
  {
    name: 'compile',
    prepare: lay.package,
    commands: same('compile', 'x_unet.mlpackage', '-o', 'compiled.mlmodelc'),
  },
  {
    name: 'bundle',
    prepare: modelsThatDraw,
    commands: same('bundle', 'out', '--for', 'openvino', '-o', 'apps'),
  },
  {
    name: 'report',
    prepare: conversion,
    commands: same('report', 'out', '--reference', autoencoder, '-o', 'card'),
    varies: reports,
  },
  {
    name: 'web',
    prepare: modelsThatDraw,
    commands: same('web', 'out', '--no-demo', '-o', 'page'),
    needs: inProject('dist/page'),
  },
  { name: 'download', commands: same(...download) },
  {
    name: 'batch',
    prepare: manifest,
    commands: same('batch', 'batch.json'),
    varies: hashes,
  },
];

/**
 * Starts two commands into one place, again and again, which begin to write at once. One of them must be there whole afterwards, byte for byte
 * as without the other; the other must have said that somebody writes there or that something else is there, or have found
 * its own result.
 */
export async function huntPairs(rounds: number, keep: Keep): Promise<true> {
  await makeRandomWeights();
  const folder = ownFolder('pairs');
  const hub = await startOwnHub();
  try {
    for (const pair of pairs) {
      const missing = await missingFor(pair, folder.path);
      if (missing !== undefined) {
        process.stdout.write(`pair with ${pair.name}: left out, ${missing}\n`);
        continue;
      }
      keep(`pair with ${pair.name}`, await tryRounds(pair, rounds, folder.path));
    }
  } finally {
    await hub.close();
    folder.remove();
  }
  return true;
}

/** Why a pair cannot be tried here. */
async function missingFor({ within, needs }: Pair, folder: string): Promise<string | undefined> {
  if (within && !(await canUnshare(folder))) return 'this machine does not allow it';
  return needs === undefined || existsSync(needs) ? undefined : `${needs} is not built`;
}

async function tryRounds(pair: Pair, rounds: number, folder: string) {
  const tally = emptyTally();
  const base = freshFolder(folder, 'base');
  await pair.prepare?.(base);
  const alone: Tree[] = [];
  for (const command of pair.commands) {
    const place = copyOf(base, folder);
    const { code, output } = await sdconvertProcess(command, { cwd: place });
    if (code !== 0) throw new Error(`${pair.name} does not work alone: ${output}`);
    alone.push(treeFor(pair, place));
  }
  for (let round = 0; round < rounds; round++) {
    const env = { HUNT_MEET: freshFolder(folder, 'meeting') };
    const { met, wrong } = await tryPair(pair, { alone, place: copyOf(base, folder), env });
    tally.inputs++;
    if (wrong !== undefined) tally.findings.push({ input: round, what: wrong });
    else if (met) tally.refused++;
    else tally.accepted++;
  }
  return tally;
}

function treeFor({ varies = /^$/ }: Pair, place: string): Tree {
  return sameWhereVaries(treeOf(place), varies);
}

/** What each command leaves without the other, where both run, and in which environment. */
interface Round {
  readonly alone: readonly Tree[];
  readonly place: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Whether one of the two saw the other, which a pair that ends in turn does not, and what is wrong. */
async function tryPair(
  pair: Pair,
  { alone, place, env }: Round,
): Promise<{ readonly met: boolean; readonly wrong: string | undefined }> {
  const { within } = pair;
  const ended = await Promise.all(
    pair.commands.map((command) => sdconvertProcess(command, { cwd: place, within, env })),
  );
  const met = ended.some(({ output }) => seesTheOther.test(output));
  return { met, wrong: wrongWith(ended, treeFor(pair, place), alone) };
}

function wrongWith(ended: readonly Ended[], tree: Tree, alone: readonly Tree[]): string | undefined {
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

/** What the one says that comes while the other writes. */
const seesTheOther = /another run is writing into|another run has just changed/;

/** Whether the one that did not write says why, or came so late that its own result was there. */
function saysSo({ code, output }: Ended, isSame: boolean): boolean {
  if (code === 0) return isSame;
  return code === 1 && (seesTheOther.test(output) || output.includes('already exists'));
}

function copyOf(base: string, folder: string): string {
  const place = freshFolder(folder, 'place');
  cpSync(base, place, { recursive: true });
  return place;
}

function freshFolder(folder: string, name: string): string {
  const place = join(folder, name);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  return place;
}

async function canUnshare(folder: string): Promise<boolean> {
  if (!existsSync('/proc/self/ns/pid')) return false;
  const { code } = await sdconvertProcess(['--version'], { cwd: folder, within: ownNumbers });
  return code === 0;
}
