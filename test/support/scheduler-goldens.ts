import { createScheduler } from '../../src/generate/schedulers/create-scheduler.ts';
import type { Scheduler } from '../../src/generate/schedulers/scheduler.ts';
import { isJsonObject, parsePythonJson } from '../../src/io/json/python-json.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';

/** The largest error, relative to the largest value; not a number where a value is missing or is none. */
export function error(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  if (ours.length !== theirs.length) return Number.NaN;
  let [worst, largest] = [0, 0];
  for (let i = 0; i < theirs.length; i++) {
    const value = theirs[i] ?? Number.NaN;
    worst = Math.max(worst, Math.abs((ours[i] ?? Number.NaN) - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return worst === 0 ? 0 : worst / largest;
}

/** The goldens' model: its output depends on the timestep and on what the scheduler showed it. */
export function model(scheduler: Scheduler, sample: Float32Array, t: number): Float32Array {
  const gain = Math.fround(0.1 * Math.sin(t / 1000));
  return scheduler.scaleModelInput(sample, t).map((value) => gain * value);
}

/** How far a walk is from diffusers' recording of it; every error relative to the recording's largest value. */
export interface Replay {
  readonly timesteps: number;
  /** Whether every recorded timestep is a whole number. */
  readonly areWhole: boolean;
  readonly sigmas: number;
  readonly start: number;
  readonly steps: readonly number[];
}

/** Takes the walk that a recording (test/python/record_schedulers.py) describes. Throws what the scheduler throws. */
export async function replay(file: string): Promise<Replay> {
  const { metadata, array } = await readRecording(file);
  const config = parsePythonJson(metadata.config ?? '', file);
  if (!isJsonObject(config)) throw new Error(`${file} has no config`);
  const scheduler = createScheduler({ _class_name: metadata.scheduler_class, ...config });
  const [count = 0] = array('num_inference_steps');
  const [start = 0] = array('start');
  scheduler.setTimesteps(count, metadata.mu ? { mu: Number(metadata.mu) } : {});

  const picture = Float32Array.from(array('image_latents'));
  const noise = Float32Array.from(array(picture.length ? 'noise' : 'initial_noise'));
  const size = noise.length;
  const recorded = Float32Array.from(array('latents'));
  let sample: Float32Array = picture.length
    ? scheduler.addNoise(picture, noise, scheduler.timesteps[start] ?? 0)
    : noise.map((value) => value * scheduler.initNoiseSigma);
  const startError = error(sample, recorded.subarray(0, size));
  sample = recorded.slice(0, size);

  const draws = Float32Array.from(array('noise_draws'));
  let drawn = 0;
  const draw = (n: number) => {
    drawn += n;
    return draws.slice(drawn - n, drawn);
  };
  const options = { noise: draw, ...(file.includes('eta1') && { eta: 1 }) };
  const steps: number[] = [];
  for (const t of scheduler.timesteps.slice(start)) {
    sample = scheduler.step(model(scheduler, sample, t), t, sample, options);
    const [from, to] = [(steps.length + 1) * size, (steps.length + 2) * size];
    steps.push(error(sample, recorded.subarray(from, to)));
  }
  if (recorded.length !== (steps.length + 1) * size) throw new Error(`${file}: ${steps.length} steps`);
  if (scheduler.needsNoise && drawn !== draws.length) throw new Error(`${file}: ${drawn} numbers were drawn`);
  const sigmas =
    'sigmas' in scheduler && array('sigmas').length ? Array.from(scheduler.sigmas as Float32Array) : [];
  return {
    timesteps: error(scheduler.timesteps, array('timesteps')),
    areWhole: array('timesteps').every(Number.isInteger),
    sigmas: sigmas.length ? error(sigmas, array('sigmas')) : 0,
    start: startError,
    steps,
  };
}

async function readRecording(file: string) {
  const recording = await openSafetensors(file);
  const arrays = new Map<string, readonly number[]>();
  for (const [name, weight] of recording.weights) {
    const { data } = await readTensor(weight, weight.dtype);
    arrays.set(name, Array.from<number | bigint, number>(data, Number));
  }
  await recording.close();
  return { metadata: recording.metadata, array: (name: string) => arrays.get(name) ?? [] };
}
