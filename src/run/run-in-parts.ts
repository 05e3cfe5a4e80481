import { basename } from 'node:path';
import { throwIfInterrupted } from '../context.ts';
import { writeTensors } from '../formats/onnx/external-data.ts';
import { encodeModel } from '../formats/onnx/proto.ts';
import { openStoredSession, type StoredRunner } from '../formats/onnx/run/onnx-session.ts';
import type { TensorMap } from '../formats/runner.ts';
import type { Scratch } from '../io/stages/scratch.ts';
import { readStored } from '../weights/stored-tensor.ts';
import { joinRows, type TensorData } from '../weights/tensor-data.ts';
import type { Part, RunPlan } from './run-plan.ts';
import { ValueStore } from './value-store.ts';

/** How the caller follows and stops a run. */
export interface RunContext {
  /** Called before each part is loaded, with what share of the work is done (0 … 1). */
  readonly onPart?: ((part: number, share: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a chain as planned: the outputs of each case, bit for bit those of the whole model without optimisation, or with
 * `rows` those of each row alone. Throws `DiskSpaceError`, `InterruptedError`, and what running throws.
 */
export async function runInParts(
  plan: RunPlan,
  scratch: Scratch,
  { onPart, signal }: RunContext = {},
): Promise<TensorMap[]> {
  const { parts, passes, rows } = plan;
  const states = passes.map((_, index) => new Pass(new ValueStore(scratch, `pass-${index}-`)));
  const products = parts.reduce((sum, { segment }) => sum + segment.products, 0);
  let done = 0;
  try {
    for (const [index, inputs] of passes.entries()) await states[index]?.begin(inputs);
    for (const [at, part] of parts.entries()) {
      onPart?.(at, products > 0 ? done / products : at / parts.length);
      await withPart(part, { scratch, signal }, async (runner) => {
        for (const pass of states) {
          throwIfInterrupted(signal);
          await pass.run(part, runner);
        }
      });
      done += part.segment.products;
    }
  } finally {
    for (const pass of states) await pass.end();
  }
  return casesOf(
    states.map(({ outputs }) => outputs),
    rows,
  );
}

/** Values of a pass while it is run. */
class Pass {
  /** Of the model that was finished last. */
  outputs: TensorMap = new Map();
  readonly #store: ValueStore;

  constructor(store: ValueStore) {
    this.#store = store;
  }

  async begin(inputs: TensorMap): Promise<void> {
    for (const [name, value] of inputs) await this.#store.put(name, value);
  }

  async run({ reads, leaves, readsLast, ...part }: Part, runner: StoredRunner): Promise<void> {
    const feeds = new Map([...reads].map(([name, inPass]) => [name, this.#store.get(inPass)]));
    const found = await runner.run(feeds, this.#store.nextFile());
    for (const name of readsLast) await this.#store.remove(name);
    for (const [name, value] of found) await this.#store.keep(leaves.get(name) ?? name, value);
    if (part.isLast) await this.#finish(part);
  }

  /** Makes what the parts of a model have left its outputs. */
  async #finish({ runnable, index, isChainsLast }: Pick<Part, 'runnable' | 'index' | 'isChainsLast'>) {
    const found = new Map<string, TensorData>();
    for (const { name } of runnable.model.proto.graph?.output ?? []) {
      const inPass = `${index}/${name}`;
      found.set(name ?? '', await readStored(this.#store.get(inPass)));
      await this.#store.remove(inPass);
    }
    this.outputs = runnable.outputsOf?.(found) ?? found;
    if (!isChainsLast) for (const [name, value] of this.outputs) await this.#store.put(name, value);
  }

  /** Removes the files of what is left. */
  async end(): Promise<void> {
    await this.#store.clear();
  }
}

/** Bytes of a part that is run in a thread: what stays of it in memory is little, and a process takes 0.1 s longer. */
const MOST_IN_THREAD = 64e6;

/** Loads a part for as long as `use` runs, its weights in files. */
async function withPart(
  { segment, runnable }: Part,
  { scratch, signal }: { readonly scratch: Scratch; readonly signal: AbortSignal | undefined },
  use: (runner: StoredRunner) => Promise<void>,
): Promise<void> {
  const { path, dataFolder = scratch.path, isTranslation } = runnable;
  const { proto, dataFiles } = segment.model;
  const names = dataFiles.map(({ location }) => basename(location));
  try {
    for (const [at, dataFile] of dataFiles.entries()) {
      const sink = await scratch.create(names[at] ?? '');
      await writeTensors(sink, dataFile, () => throwIfInterrupted(signal)).finally(() => sink.close());
    }
    const model = { path, bytes: encodeModel(proto), dataFolder, isTranslation };
    const runner = await openStoredSession(model, { ownProcess: segment.bytes > MOST_IN_THREAD, signal });
    await use(runner).finally(() => runner.close());
  } finally {
    for (const name of names) await scratch.remove(name);
  }
}

/** The outputs of each case, put together from those of its rows. */
function casesOf(outputs: readonly TensorMap[], rows: number): TensorMap[] {
  if (rows === 1) return [...outputs];
  return Array.from({ length: outputs.length / rows }, (_, at) => {
    const [first, ...others] = outputs.slice(at * rows, (at + 1) * rows);
    const joined = [...(first ?? [])].map(([name, tensor]): [string, TensorData] => [
      name,
      joinRows(tensor, ...others.flatMap((each) => each.get(name) ?? [])),
    ]);
    return new Map(joined);
  });
}
