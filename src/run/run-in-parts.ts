import { basename } from 'node:path';
import { throwIfInterrupted } from '../context.ts';
import { writeTensors } from '../formats/onnx/external-data.ts';
import { encodeModel } from '../formats/onnx/proto.ts';
import { openOnnxSession } from '../formats/onnx/run/onnx-session.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import type { Scratch } from '../io/stages/scratch.ts';
import { copyOf, joinRows, type TensorData } from '../weights/tensor-data.ts';
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
  const { parts, passes, waitingBytes, rows } = plan;
  const store = new ValueStore(scratch, waitingBytes);
  const states = passes.map((inputs, index) => new Pass(`${index}`, inputs, store));
  const products = parts.reduce((sum, { segment }) => sum + segment.products, 0);
  let done = 0;
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
  return casesOf(
    states.map(({ outputs }) => outputs),
    rows,
  );
}

/** Values of a pass while it is run. */
class Pass {
  /** Of the model that was finished last. */
  outputs: TensorMap = new Map();
  readonly #key: string;
  readonly #inputs: Map<string, TensorData>;
  readonly #store: ValueStore;

  constructor(key: string, inputs: TensorMap, store: ValueStore) {
    this.#key = key;
    this.#inputs = new Map(inputs);
    this.#store = store;
  }

  async run(part: Part, runner: Runner): Promise<void> {
    const { reads, leaves, readsLast, isLast } = part;
    const feeds = new Map<string, TensorData>();
    for (const [name, inPass] of reads) feeds.set(name, await this.#read(inPass, readsLast.has(inPass)));
    for (const [name, value] of await runner.run(feeds)) await this.#put(leaves.get(name) ?? name, value);
    if (isLast) await this.#finish(part);
  }

  /** Makes what the parts of a model have left its outputs. */
  async #finish({ runnable, index, isChainsLast }: Part): Promise<void> {
    const found = new Map<string, TensorData>();
    for (const { name } of runnable.model.proto.graph?.output ?? [])
      found.set(name ?? '', await this.#read(`${index}/${name}`, true));
    this.outputs = runnable.outputsOf?.(found) ?? found;
    if (!isChainsLast) for (const [name, value] of this.outputs) await this.#put(name, value);
  }

  async #put(name: string, value: TensorData): Promise<void> {
    await this.#store.put(`${this.#key} ${name}`, value);
  }

  /** A value that the caller may keep. */
  async #read(name: string, isLast: boolean): Promise<TensorData> {
    const key = `${this.#key} ${name}`;
    const input = this.#inputs.get(name);
    const value = input ? copyOf(input) : await (isLast ? this.#store.take(key) : this.#store.read(key));
    if (!value) throw new Error(`${name} was not computed`);
    return value;
  }
}

/** Loads a part for as long as `use` runs, its weights in files. */
async function withPart(
  { segment, runnable }: Part,
  { scratch, signal }: { readonly scratch: Scratch; readonly signal: AbortSignal | undefined },
  use: (runner: Runner) => Promise<void>,
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
    const runner = await openOnnxSession(model, { optimize: false, takesFeeds: true });
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
