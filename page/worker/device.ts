import type * as Ort from 'onnxruntime-web';
import { WASM_BYTES } from '../../src/web/memory-need.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import type { Device } from '../messages.ts';

/** More threads than these only wait for each other. */
const MOST_THREADS = 8;

/** A device, with what the user should know of it. */
export interface ChosenDevice extends Device {
  readonly notes: readonly string[];
}

/**
 * Chooses WebGPU where the models run on it, else WASM with as many threads as there are. Throws an error of one sentence
 * where neither can hold the models.
 */
export async function chooseDevice(plan: WebPlan, wanted: Device['kind'] | undefined): Promise<ChosenDevice> {
  const missing = wanted === 'wasm' ? 'WebGPU was not asked for' : await missingForWebGpu(plan);
  const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
  const small = noteMemory(missing === undefined ? plan.memory.webGpu : plan.memory.wasm);
  if (missing === undefined) return { kind: 'webgpu', threads, notes: small };
  if (wanted === 'webgpu') throw new Error(`WebGPU cannot be used: ${missing}.`);
  if (plan.memory.wasm > WASM_BYTES)
    throw new Error(
      `These models need about ${gigabytes(plan.memory.wasm)} GB without WebGPU, and WebAssembly has at most 4.3 GB; and ${missing}.`,
    );
  const slow = wanted === 'wasm' ? [] : [`It will be slow: ${missing}.`];
  const alone = crossOriginIsolated
    ? []
    : [
        'It would use more if the server sent Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy, as sdconvert serve does.',
      ];
  return { kind: 'wasm', threads, notes: [...slow, ...alone, ...small] };
}

/** A note where the machine has less memory than is needed; browsers tell at most 8 GB, and some tell nothing. */
function noteMemory(needed: number): string[] {
  const gibibytes: number = Reflect.get(navigator, 'deviceMemory') ?? Number.POSITIVE_INFINITY;
  const has = gibibytes * 2 ** 30;
  return gibibytes < 8 && has < needed
    ? [
        `The models need about ${gigabytes(needed)} GB, and this machine has ${gigabytes(has)} GB: it may not be enough.`,
      ]
    : [];
}

/** Why the models do not run on WebGPU, as part of a sentence. */
async function missingForWebGpu({ models }: WebPlan): Promise<string | undefined> {
  const gpu: Gpu | undefined = Reflect.get(navigator, 'gpu');
  if (!gpu) return 'this browser has no WebGPU';
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return 'WebGPU finds no graphics processor here';
  const isFloat16 = Object.values(models).some((model) => model.isFloat16);
  return isFloat16 && !adapter.features.has('shader-f16')
    ? 'this graphics processor does not compute in float16, as these models do'
    : undefined;
}

/** The part of WebGPU that is used here; TypeScript's library has no types for it. */
interface Gpu {
  requestAdapter(): Promise<{ readonly features: ReadonlySet<string> } | null>;
}

/** Loads onnxruntime for a device, from the page's own folder. */
export async function loadOnnxruntime({ kind, threads }: Device): Promise<typeof Ort> {
  const folder = new URL('ort/', location.href).href;
  const ort: typeof Ort = await import(`${folder}ort.${kind}.min.mjs`);
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  return ort;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
