import { RequestError } from '../errors.ts';
import type { StoredArtifact } from '../formats/artifact.ts';
import { openArtifact } from '../formats/open.ts';
import type {
  ModelBorders,
  Runnable,
  RunnableOptions,
  Runner,
  RunnerOptions,
  TensorMap,
  ValueInfo,
} from '../formats/runner.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { checkDeclaredInputs } from './declared-inputs.ts';
import { openRunner } from './open-runner.ts';

/**
 * Loads one model, or the chunks of one as a single model: each chunk takes its inputs, by name, from the chain's inputs and
 * the outputs of earlier chunks; the last one's outputs are the chain's. Throws `RequestError` for an empty chain,
 * and what opening the models throws.
 */
export async function openChain(paths: readonly string[], options: RunnerOptions): Promise<Runner> {
  const models: Runner[] = [];
  const close = async () => {
    await Promise.all(models.map((model) => model.close()));
  };
  try {
    for (const path of paths) models.push(await openRunner(path, options));
  } catch (error) {
    await close();
    throw error;
  }
  const [first, ...others] = models;
  if (!first) throw noModel();
  return others.length === 0 ? first : chainOf(models);
}

/** Joins loaded models into one, as `openChain` does; each takes the inputs it needs. */
export function chainOf(models: readonly Runner[]): Runner {
  return {
    path: models.map(({ path }) => path).join(' → '),
    inputs: freeInputs(models),
    outputs: models.at(-1)?.outputs ?? [],
    async run(feeds) {
      const values = new Map(feeds);
      let outputs: TensorMap = new Map();
      for (const model of models) {
        outputs = await model.run(pick(model, values));
        for (const [name, tensor] of outputs) values.set(name, tensor);
      }
      return outputs;
    },
    async close() {
      await Promise.all(models.map((model) => model.close()));
    },
  };
}

/** Models that are run in parts as one, as `openChain` joins them. */
export interface RunnableChain extends ModelBorders {
  readonly models: readonly Runnable[];
  /** Closes all files; a second call does nothing. */
  close(): Promise<void>;
}

/**
 * Opens one model, or the chunks of one as a single model, to be run in parts; nothing is loaded. Throws as `openChain`
 * does.
 */
export async function openRunnableChain(
  paths: readonly string[],
  options: RunnableOptions,
): Promise<RunnableChain> {
  const artifacts: StoredArtifact[] = [];
  const models: Runnable[] = [];
  const close = async () => {
    await Promise.all([...models, ...artifacts].map((each) => each.close()));
  };
  try {
    for (const path of paths) {
      const artifact = await openArtifact(path);
      artifacts.push(artifact);
      const model = await artifact.runnable(options);
      models.push(model);
      checkDeclaredInputs(path, model.inputs);
    }
  } catch (error) {
    await close();
    throw error;
  }
  if (models.length === 0) throw noModel();
  return { ...runnableChainOf(models), close };
}

/** Joins models that can be run in parts. */
export function runnableChainOf(models: readonly Runnable[]): RunnableChain {
  return {
    path: models.map(({ path }) => path).join(' → '),
    inputs: freeInputs(models),
    outputs: models.at(-1)?.outputs ?? [],
    models,
    async close() {
      await Promise.all(models.map((model) => model.close()));
    },
  };
}

function noModel(): RequestError {
  return new RequestError({ problem: 'there is no model to run.', advice: 'Name at least one.' });
}

/** Inputs of the models that no earlier model computes, each once. */
function freeInputs(models: readonly ModelBorders[]): readonly ValueInfo[] {
  const made = new Set<string>();
  const free = new Map<string, ValueInfo>();
  for (const { inputs, outputs } of models) {
    for (const input of inputs)
      if (!made.has(input.name) && !free.has(input.name)) free.set(input.name, input);
    for (const { name } of outputs) made.add(name);
  }
  return [...free.values()];
}

/** The values that a model takes. */
function pick({ inputs }: Runner, values: TensorMap): TensorMap {
  return new Map(
    inputs.flatMap(({ name }): [string, TensorData][] => {
      const tensor = values.get(name);
      return tensor ? [[name, tensor]] : [];
    }),
  );
}
