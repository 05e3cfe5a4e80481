import type * as Ort from 'onnxruntime-web';
import type { Runner } from '../../src/formats/runner.ts';
import { withAnyRows } from '../../src/run/any-rows.ts';
import type { WebModel, WebPlan } from '../../src/web/web-plan.ts';
import type { Device } from '../messages.ts';
import { ortRunner } from './ort-runner.ts';
import type { Following, WeightFiles } from './weight-files.ts';

/** Models that all together need no more than this stay loaded. */
const KEEP_ALL_BYTES = 500e6;

/** Loads the page's models: one in memory at a time, small ones all. */
export class Networks {
  readonly #loaded = new Map<string, Runner>();
  readonly #ort: typeof Ort;
  readonly #plan: WebPlan;
  readonly #files: WeightFiles;
  readonly #device: Device;

  constructor(ort: typeof Ort, plan: WebPlan, files: WeightFiles, device: Device) {
    this.#ort = ort;
    this.#plan = plan;
    this.#files = files;
    this.#device = device;
  }

  /** Whether loading another one closes those that are loaded. */
  get isTight(): boolean {
    return bytesOf(Object.values(this.#plan.models)) > KEEP_ALL_BYTES;
  }

  /**
   * Calls `use` with a model; `beside` stays loaded. Throws an error of one sentence when it cannot be downloaded or loaded.
   */
  async use<T>(
    name: string,
    following: Following,
    use: (network: Runner) => Promise<T>,
    beside: readonly string[] = [],
  ): Promise<T> {
    const network = this.#loaded.get(name) ?? (await this.#load(name, beside, following));
    return use(network);
  }

  async #load(name: string, beside: readonly string[], following: Following): Promise<Runner> {
    const model = this.#plan.models[name];
    if (!model) throw new Error(`The page has no ${name}: convert it too, and make the page again.`);
    if (this.isTight)
      for (const [each, network] of this.#loaded)
        if (!beside.includes(each)) {
          await network.close();
          this.#loaded.delete(each);
        }
    const session = await this.#session(name, model, following);
    const network = withAnyRows(ortRunner(this.#ort, session, name));
    this.#loaded.set(name, network);
    return network;
  }

  async #session(
    name: string,
    { model, data }: WebModel,
    following: Following,
  ): Promise<Ort.InferenceSession> {
    const bytes = await this.#files.read(model, following);
    const externalData = [];
    for (const file of data)
      externalData.push({ path: file.name, data: await this.#files.read(file, following) });
    try {
      return await this.#ort.InferenceSession.create(bytes, {
        executionProviders: [this.#device.kind],
        externalData,
        enableCpuMemArena: false,
      });
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      throw new Error(
        `The ${name} cannot be loaded (${found.split('\n', 1)[0]}): it may not fit into memory; close other tabs.`,
      );
    }
  }
}

/** Bytes of all files of models. */
export function bytesOf(models: readonly WebModel[]): number {
  return models
    .flatMap(({ model, data }) => [model, ...data])
    .reduce((sum, { byteLength }) => sum + byteLength, 0);
}
