/**
 * Measures what a denoising step takes, beside diffusers on torch on the same CPU in the same run: the UNet of models/sd-shapes,
 * and of Stable Diffusion 1.5 at its real size with random weights, 64 × 64 latents. Each is measured in turns, the fastest
 * step counts. Prints a table and appends to benchmarks/results/generate.csv.
 *
 *     npm run bench:generate [-- --small] [--choices] [--only REGEXP] [--rounds 3]
 *
 * On a busy machine compare the seconds of CPU; torch's threads spin while they wait, so that even these suffer.
 *
 * --small leaves the real size out (12 GB of temporary files, where TMPDIR says); --choices also measures other options of
 * onnxruntime than ours; --only takes an expression for the rows to measure.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findModels } from '../src/run/find-models.ts';
import { alignColumns } from '../src/text.ts';
import { fullSizeComponents } from './full-size.ts';
import { makeFullSizeCheckpoint } from './make-full-size-checkpoint.ts';
import { measure } from './measure.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';

interface Model {
  readonly name: string;
  readonly checkpoint: string;
  readonly latent: number;
  /** Of the text that the UNet attends to. */
  readonly channels: number;
  /** Steps in each process. */
  readonly runs: number;
}

/** What a process measured. */
interface Measured {
  readonly load: number;
  readonly steps: readonly { readonly wall: number; readonly cpu: number }[];
  readonly peak: number;
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const root = script('..');
const DIFFUSERS = 'diffusers, torch, float32';

/** Options of onnxruntime to compare with ours, which are the first. */
const choices: Readonly<Record<string, object>> = {
  ours: {
    enableCpuMemArena: false,
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  },
  'threads that spin': { enableCpuMemArena: false, graphOptimizationLevel: 'all' },
  'level extended': { enableCpuMemArena: false, graphOptimizationLevel: 'extended' },
  'level basic': { enableCpuMemArena: false, graphOptimizationLevel: 'basic' },
  'with arena': { graphOptimizationLevel: 'all' },
  'without memory pattern': {
    enableCpuMemArena: false,
    enableMemPattern: false,
    graphOptimizationLevel: 'all',
  },
  'one thread': { enableCpuMemArena: false, graphOptimizationLevel: 'all', intraOpNumThreads: 1 },
  'four threads': { enableCpuMemArena: false, graphOptimizationLevel: 'all', intraOpNumThreads: 4 },
};

const { values: options } = parseArgs({
  options: {
    small: { type: 'boolean', default: false },
    choices: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
  },
});
const venv = [script('../test/python/venv.sh'), script('../test/python/requirements-recording.txt')];
const python = execFileSync('bash', venv, { encoding: 'utf8' }).trim();
const temporary = mkdtempSync(join(tmpdir(), 'sdconvert-bench-'));
try {
  const shapes = { name: 'sd-shapes', checkpoint: join(root, 'models/sd-shapes') };
  await measureModel({ ...shapes, latent: 8, channels: 64, runs: 20 });
  if (!options.small) {
    const checkpoint = join(temporary, 'sd15');
    const { unet } = fullSizeComponents('sd15');
    if (!unet) throw new Error('the list of Stable Diffusion 1.5 lacks the UNet');
    await makeFullSizeCheckpoint(checkpoint, 'f32', { unet });
    await measureModel({ name: 'sd15-full', checkpoint, latent: 64, channels: 768, runs: 1 });
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

async function measureModel(model: Model): Promise<void> {
  const works = worksFor(model);
  const found = new Map<string, Measured[]>();
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [what, work] of Object.entries(works))
      found.set(what, [...(found.get(what) ?? []), await work()]);
  const best = [...found].map(([what, all]) => ({
    what,
    wall: Math.min(...all.flatMap(({ steps }) => steps.map(({ wall }) => wall))),
    cpu: Math.min(...all.flatMap(({ steps }) => steps.map(({ cpu }) => cpu))),
    load: Math.min(...all.map(({ load }) => load)),
    peak: Math.min(...all.map(({ peak }) => peak)),
  }));
  const torch = best.find(({ what }) => what === DIFFUSERS);
  const rows: Row[] = best.map(({ what, wall, cpu, load, peak }) => ({
    model: model.name,
    what,
    rounds: Number(options.rounds),
    step_s: wall.toFixed(4),
    step_cpu_s: cpu.toFixed(4),
    to_diffusers: (wall / (torch?.wall ?? Number.NaN)).toFixed(2),
    cpu_to_diffusers: (cpu / (torch?.cpu ?? Number.NaN)).toFixed(2),
    load_s: load.toFixed(2),
    peak_rss_mb: (peak / 1e6).toFixed(0),
    machine_load: loadavg()[0]?.toFixed(1) ?? '',
  }));
  const here = circumstances();
  appendRows(
    script('results/generate.csv'),
    rows.map((row) => ({ ...here, ...row })),
  );
  const headings = Object.keys(rows[0] ?? {});
  console.log(alignColumns([headings, ...rows.map((row) => Object.values(row).map(String))]));
}

/** Everything that is measured of a model; its UNet is converted when a form of it is first asked for. */
function worksFor(model: Model): Record<string, () => Promise<Measured>> {
  const settings = Object.entries({ latent: model.latent, channels: model.channels, runs: model.runs });
  const flags = settings.flatMap(([name, value]) => [`--${name}`, String(value)]);
  const ours =
    (form: Form, ...args: string[]) =>
    async (): Promise<Measured> => {
      const path = await converted(model, form);
      const { stdout, peakRss } = await measure([script('time-unet.ts'), path, ...args, ...flags]);
      return { ...JSON.parse(stdout), peak: peakRss };
    };
  const works: Record<string, () => Promise<Measured>> = {
    [DIFFUSERS]: async () => diffusers(model),
    'ONNX, float32': ours('float32'),
    'ONNX, float32, --reduce-memory': ours('float32', '--reduce-memory'),
    'ONNX, float16-weights': ours('float16-weights'),
    'Core ML, float16': ours('coreml'),
    'Core ML, float16, --reduce-memory': ours('coreml', '--reduce-memory'),
  };
  if (options.choices)
    for (const [name, session] of Object.entries(choices))
      works[`ONNX, float32, ${name}`] = ours('float32', '--session', JSON.stringify(session));
  const wanted = new RegExp(options.only);
  return Object.fromEntries(Object.entries(works).filter(([what]) => wanted.test(what)));
}

type Form = 'float32' | 'float16-weights' | 'coreml';

/** A model's UNet in a form; converted once. */
async function converted(model: Model, form: Form): Promise<string> {
  const output = join(temporary, `${model.name} ${form}`);
  const how =
    form === 'coreml'
      ? ['--target', 'coreml', '--attention', 'ORIGINAL']
      : ['--target', 'onnx', '--precision', form];
  const args = [
    '--model-version',
    model.checkpoint,
    '--convert-unet',
    '--no-bundle',
    '-o',
    output,
    '--quiet',
    ...how,
  ];
  execFileSync(process.execPath, [script('../cli/main.ts'), 'convert', ...args]);
  const [found] = await findModels(output);
  const [path] = found?.paths ?? [];
  if (path === undefined) throw new Error(`${output} holds no UNet`);
  return path;
}

function diffusers({ checkpoint, latent, channels, runs }: Model): Measured {
  const args = [script('time_unet.py'), checkpoint, String(latent), String(channels), String(runs)];
  const printed = execFileSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '');
}
