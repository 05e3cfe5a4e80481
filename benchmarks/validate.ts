/**
 * Measures how much memory and time the comparison of a full-size conversion with its checkpoint takes: a UNet and a VAE
 * decoder in float16, in a process of their own each. Prints a table and appends to benchmarks/results/validate.csv.
 *
 *     npm run bench:validate [-- --model sd15|sdxl] [--network unet] [--max-memory 2GB]
 *
 * The checkpoint (random weights, float16: 2.1 GB, of XL 6.9 GB) and its conversion are made where TMPDIR says, and removed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/text.ts';
import { fullSizeComponents } from './full-size.ts';
import { makeFullSizeCheckpoint } from './make-full-size-checkpoint.ts';
import { measure } from './measure.ts';
import { appendRows, circumstances, type Row } from './results-file.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const sdconvert = path('../cli/main.ts');

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'sd15' },
    network: { type: 'string', multiple: true, default: ['unet', 'vae_decoder'] },
    target: { type: 'string', default: 'onnx' },
    'max-memory': { type: 'string', default: '2GB' },
  },
});
const { model, target, network: networks, 'max-memory': maxMemory } = options;
if (model !== 'sd15' && model !== 'sdxl') throw new Error(`${model} is neither sd15 nor sdxl`);

const stop = new AbortController();
process.on('SIGINT', () => stop.abort()).on('SIGTERM', () => stop.abort());
const temporary = mkdtempSync(join(tmpdir(), 'sdconvert-bench-'));
try {
  const checkpoint = join(temporary, model);
  await makeFullSizeCheckpoint(checkpoint, 'f16', fullSizeComponents(model));
  const output = join(temporary, 'output');
  const flags = networks.map((name) => `--convert-${name.replaceAll('_', '-')}`);
  const convert = ['convert', '--quiet', '--model-version', checkpoint, '-o', output, '--target', target];
  await measure([sdconvert, ...convert, '--no-bundle', ...flags], stop.signal);
  const rows: Row[] = [];
  for (const network of networks) {
    const artifact =
      target === 'onnx'
        ? join(output, 'onnx', network)
        : join(output, `Stable_Diffusion_version_${model}_${network}.mlpackage`);
    // Whether random weights reach a floor is not the question.
    const bounds = ['--min-psnr', '0', '--max-memory', maxMemory, '--tmp-dir', temporary];
    const validate = ['validate', '--quiet', artifact, '--reference', checkpoint, ...bounds];
    const { wall, user, system, peakRss } = await measure([sdconvert, ...validate], stop.signal);
    rows.push({
      model,
      network,
      target,
      max_memory: maxMemory,
      wall_s: wall.toFixed(1),
      user_s: user.toFixed(1),
      system_s: system.toFixed(1),
      peak_rss_mb: (peakRss / 1e6).toFixed(1),
    });
  }
  const here = circumstances();
  appendRows(
    path('results/validate.csv'),
    rows.map((row) => ({ ...here, ...row })),
  );
  console.log(
    alignColumns([Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row).map(String))]),
  );
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
