import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { convertDrawingCheckpoint } from '../../../test/support/drawing-checkpoints.ts';
import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import type { Files } from '../../format.ts';
import { assetSeeds, compiledSeeds, onnxSeeds, packageSeeds } from '../../formats/artifact-seeds.ts';
import { inProject } from '../../formats/seeds.ts';
import { layOut } from '../../judge.ts';
import { TEMPORARY } from '../sdconvert-process.ts';

/** A command that writes, and what is there before. Paths are relative to the folder that it runs in. */
export interface Scenario {
  readonly name: string;
  /** Makes what is there before; gives nothing. `sdconvert` runs a command of its own. */
  prepare(folder: string, sdconvert: (...args: string[]) => Promise<void>): Promise<void>;
  readonly args: readonly string[];
  /** Artifacts that appear together: all old or all new, whenever it is killed; chunks when left out. */
  readonly together?: RegExp;
  /** Files that tell of the time that passed, or of the places of files: their bytes differ in each run. */
  readonly varies?: RegExp;
  /**
   * Files that grow from state to state, each written whole: after a kill one is in a state that it went through without the
   * kill. Records are such files in every command.
   */
  readonly grows?: RegExp;
  /** Whether all that is replaced goes before anything is written: it may be neither old nor new. */
  readonly isRemovedFirst?: boolean;
  /** What is run instead of the command line. */
  readonly program?: string;
  /** The program, by its name, of the process that the command starts for its work, and that is killed instead of it. */
  readonly inside?: string;
  /** Whether it is also killed by the system: one of each way to write, of those that end soon. */
  readonly bySystem?: boolean;
  /** What must have been built: it is left out where this is missing. */
  readonly needs?: string;
  /** Left out of short hunts, unless it is named. */
  readonly takesLong?: boolean;
}

/** The smallest checkpoint: a VAE, which is two models. */
export const autoencoder = inProject('test/fixtures/tiny-autoencoder');

/** Converts it. */
export const convert = [
  ...['convert', '--model-version', autoencoder, '-o', 'out', '--latent-h', '8', '--latent-w', '8'],
];

/** Reports, which say when they were made. */
export const reports = /report\.(html|json)$/;

/** Lays out a UNet of each format, of few weights. */
export const lay = {
  onnx: async (folder: string, name = 'unet') => layOut(largest(await onnxSeeds()), join(folder, name)),
  package: async (folder: string, name = 'x_unet.mlpackage') =>
    layOut(largest(await packageSeeds()), join(folder, name)),
  compiled: async (folder: string, name = 'x_unet.mlmodelc') =>
    layOut(largest(await compiledSeeds()), join(folder, name)),
  asset: async (folder: string, name = 'unet.aimodel') =>
    layOut(largest(await assetSeeds()), join(folder, name)),
};

/** The one with unquantised weights: chunks and palettes need some. */
function largest(seeds: readonly Files[]): Files {
  const [first] = seeds.toSorted((a, b) => totalBytes(b) - totalBytes(a));
  if (!first) throw new Error('there are no seeds');
  return first;
}

function totalBytes(files: Files): number {
  return [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
}

/** Makes `out`: all models that draw, of few weights, with two ControlNets. */
export async function modelsThatDraw(folder: string, target: 'onnx' | 'coreml' = 'onnx'): Promise<void> {
  await makeRandomWeights();
  const made = await convertDrawingCheckpoint(folder, 'plain', { target });
  renameSync(made, join(folder, 'out'));
  for (const name of readdirSync(folder))
    if (name !== 'out' && name !== TEMPORARY) rmSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, TEMPORARY), { recursive: true });
}
