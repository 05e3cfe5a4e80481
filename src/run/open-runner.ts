import { join } from 'node:path';
import { NotFoundError, UnsupportedModelError } from '../errors.ts';
import { isCoreMlPath, openCoreMlRunner } from '../formats/coreml/coreml-runner.ts';
import { openOnnxSession } from '../formats/onnx/onnx-session.ts';
import type { Runner, RunnerOptions } from '../formats/runner.ts';
import { pathKind } from '../io/disk.ts';

/** A kind of artifact that can be run. */
interface RunnerKind {
  /** The model that a path stands for; `undefined` when the path is of another kind. */
  locate(path: string): Promise<string | undefined>;
  open(model: string, options: RunnerOptions): Promise<Runner>;
}

const kinds: readonly RunnerKind[] = [
  {
    async locate(path) {
      if (path.endsWith('.onnx')) return path;
      const inFolder = join(path, 'model.onnx');
      return (await pathKind(inFolder)) === 'file' ? inFolder : undefined;
    },
    open: openOnnxSession,
  },
  {
    locate: async (path) => (isCoreMlPath(path) && (await pathKind(path)) === 'folder' ? path : undefined),
    open: openCoreMlRunner,
  },
];

/** Whether a path is an artifact that can be run: an `.onnx` file, a folder with a `model.onnx`, a `.mlpackage` or a `.mlmodelc`. */
export async function isRunnable(path: string): Promise<boolean> {
  for (const kind of kinds) if (await kind.locate(path)) return true;
  return false;
}

/** Loads an artifact to be run, by what it is. Throws `NotFoundError`, `UnsupportedModelError`, and as its kind's opener does. */
export async function openRunner(path: string, options: RunnerOptions): Promise<Runner> {
  for (const kind of kinds) {
    const model = await kind.locate(path);
    if (model !== undefined) return kind.open(model, options);
  }
  if ((await pathKind(path)) === undefined) {
    throw new NotFoundError({
      problem: `${path} does not exist.`,
      advice: 'Check the spelling of the path.',
    });
  }
  throw new UnsupportedModelError({
    problem: `${path} is not a model that can be run.`,
    details: { expected: 'an .onnx file, a folder that holds a model.onnx, a .mlpackage or a .mlmodelc' },
  });
}
