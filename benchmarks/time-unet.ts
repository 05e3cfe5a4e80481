/**
 * Times steps of a UNet of Stable Diffusion 1 in this process: two rows, as with guidance. Prints JSON: seconds to load, and
 * of each step, and its seconds of CPU.
 *
 *     node benchmarks/time-unet.ts MODEL --latent 64 --runs 3 [--reduce-memory]
 *     node benchmarks/time-unet.ts FOLDER --latent 64 --runs 3 --session '{"intraOpNumThreads": 1}'
 *
 * With --session, onnxruntime loads the folder's model.onnx with these options instead of ours.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { createRng } from '../src/random/random.ts';
import { openNetwork } from '../src/run/open-network.ts';
import type { TensorData } from '../src/weights/tensor-data.ts';

const TOKENS = 77;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    latent: { type: 'string', default: '64' },
    channels: { type: 'string', default: '768' },
    runs: { type: 'string', default: '3' },
    'reduce-memory': { type: 'boolean', default: false },
    session: { type: 'string' },
  },
});
const [path = ''] = positionals;
const [side, channels] = [Number(values.latent), Number(values.channels)];
const rng = createRng('numpy', 7);
const inputs = new Map<string, TensorData>([
  ['sample', { dtype: 'f32', shape: [2, 4, side, side], data: rng.normal(2 * 4 * side * side) }],
  ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(501) }],
  [
    'encoder_hidden_states',
    { dtype: 'f32', shape: [2, TOKENS, channels], data: rng.normal(2 * TOKENS * channels) },
  ],
]);

const start = performance.now();
const step = await (values.session === undefined ? openOurs() : openPlain(JSON.parse(values.session)));
const load = seconds(start);
const steps: { wall: number; cpu: number }[] = [];
// The first run allocates.
for (let run = 0; run <= Number(values.runs); run++) {
  const [before, used] = [performance.now(), process.cpuUsage()];
  await step();
  const { user, system } = process.cpuUsage(used);
  if (run > 0) steps.push({ wall: seconds(before), cpu: (user + system) / 1e6 });
}
console.log(JSON.stringify({ load, steps }));
process.exit();

/** As `generate` loads it. */
async function openOurs(): Promise<() => Promise<unknown>> {
  const network = await openNetwork([path], { optimize: !values['reduce-memory'] });
  return () => network.run(inputs);
}

async function openPlain(options: ort.InferenceSession.SessionOptions): Promise<() => Promise<unknown>> {
  const session = await ort.InferenceSession.create(join(path, 'model.onnx'), {
    logSeverityLevel: 4,
    ...options,
  });
  const feeds = Object.fromEntries(
    [...inputs].map(([name, { shape, data }]) => [
      name,
      new ort.Tensor('float32', data as Float32Array, shape),
    ]),
  );
  return () => session.run(feeds);
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}
