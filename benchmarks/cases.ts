import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A process to measure. */
export interface Case {
  readonly name: string;
  /** The program and its arguments; `node` is this Node, whose threads and bytes are counted. */
  readonly command: readonly [string, ...string[]];
  /** The case of the same round that it is compared with. */
  readonly baseline?: string;
  /** Python's packages that it needs; it is left out where `python3` lacks one. */
  readonly packages?: readonly string[];
  /** Whether it is measured for Stable Diffusion 1.5 in float32 only. */
  readonly once?: boolean;
  /**
   * Whether it runs twice in each round, and the second run counts. What writes as much through the page cache takes memory that a
   * virtual machine may have given back to its host: then the first copy of gigabytes takes 10 s, and one right after it 2.
   */
  readonly rehearsed?: boolean;
}

/** Folders of a run. */
export interface Places {
  readonly checkpoint: string;
  /** Where each case writes; removed after it. */
  readonly output: string;
  /** Artifacts of an earlier conversion: `onnx/`, packages. Only for Stable Diffusion 1.5. */
  readonly made: string;
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The command line as users have it. */
const sdconvert = ['node', path('../bin/sdconvert.js')] as const;

const NUMPY_LOOP = path('numpy_loop.py');
const TORCH_BASELINE = path('torch_baseline.py');
const DIFFUSERS = ['torch', 'diffusers', 'transformers'];

const COPY = 'cp -r';
const COPY_MODEL = 'cp -r of the package';

/** The conversions of a checkpoint, after what they are compared with. */
export function conversionCases({ checkpoint, output }: Places): Case[] {
  const convert = (...flags: string[]): Case['command'] => [
    ...sdconvert,
    'convert',
    ...['--quiet', '--model-version', checkpoint, '-o', output],
    ...flags,
  ];
  const unet = ['--target', 'coreml', '--convert-unet', '--no-bundle'];
  const cases: Case[] = [
    { name: COPY, command: ['cp', '-r', checkpoint, output], rehearsed: true },
    // What a conversion writes is on the disk when it appears; what cp wrote is in memory.
    {
      name: 'cp -r, then sync',
      command: ['sh', '-c', 'cp -r "$0" "$1" && sync -f "$1"', checkpoint, output],
      once: true,
      rehearsed: true,
    },
    {
      name: 'SHA-256 of its weights (OpenSSL)',
      command: ['sh', '-c', 'find "$0" -name "*.safetensors" -exec openssl sha256 {} +', checkpoint],
      once: true,
    },
    {
      name: 'read, convert, write (NumPy)',
      command: ['python3', NUMPY_LOOP, checkpoint, output],
      packages: ['numpy'],
      rehearsed: true,
    },
    {
      name: 'the same with hashes, one target',
      command: needed(checkpoint, join(output, 'one')),
      packages: ['numpy'],
      rehearsed: true,
    },
    {
      name: 'the same with hashes, two targets',
      command: needed(checkpoint, join(output, 'one'), join(output, 'two')),
      packages: ['numpy'],
      rehearsed: true,
    },
    {
      name: 'loading in float16 (diffusers)',
      command: ['python3', TORCH_BASELINE, checkpoint],
      packages: DIFFUSERS,
      once: true,
    },
    {
      name: 'exporting the UNet (torch.onnx)',
      command: ['python3', TORCH_BASELINE, checkpoint, output],
      packages: DIFFUSERS,
      once: true,
    },
    { name: 'ONNX', command: convert('--target', 'onnx') },
    { name: 'Core ML, chunks', command: convert('--target', 'coreml', '--chunk-unet', '--no-bundle') },
    { name: 'both, chunks, Resources', command: convert('--chunk-unet') },
    { name: 'UNet, 6 bits, Core ML', command: convert(...unet, '--quantize-nbits', '6') },
    { name: 'ONNX, float32', command: convert('--target', 'onnx', '--precision', 'float32'), once: true },
    { name: 'dry run', command: convert('--dry-run') },
    { name: 'inspect', command: [...sdconvert, 'inspect', checkpoint] },
  ];
  return cases.map((each) => ({ ...each, baseline: COPY }));
}

/**
 * What nobody can leave out, by programs that do little else: NumPy converts while OpenSSL hashes the checkpoint on another core,
 * then OpenSSL hashes the results, a file on each core, and they are synced.
 */
function needed(checkpoint: string, ...outputs: string[]): Case['command'] {
  const hash = 'find "$@" -name "*.safetensors" -print0 | xargs -0 -n 1 -P 2 openssl sha256';
  const script = `set -e; loop=$1; from=$2; shift 2
find "$from" -name "*.safetensors" -exec openssl sha256 {} + & python3 "$loop" "$from" "$@"; wait; ${hash}; sync -f "$1"`;
  return ['sh', '-c', script, 'sh', NUMPY_LOOP, checkpoint, ...outputs];
}

/** What is done with artifacts that exist. */
export function artifactCases({ output, made }: Places): Case[] {
  const model = join(made, 'Stable_Diffusion_version_sd15_unet.mlpackage');
  const onnx = join(made, 'onnx/unet');
  const quantize = (source: string, target: string, ...flags: string[]): Case['command'] => [
    ...sdconvert,
    'quantize',
    ...['--quiet', source, '-o', target],
    ...flags,
  ];
  const targetPackage = join(output, 'unet.mlpackage');
  const bits = ['--nbits', '6'];
  const linear = (count: string) => ['--mode', 'linear', '--nbits', count];
  const prompt = ['--prompt', 'a circle', '--num-inference-steps', '1', '--seed', '0'];
  const cases: Case[] = [
    { name: COPY_MODEL, command: ['cp', '-r', model, output], rehearsed: true },
    {
      name: 'cp -r of the package, SHA-256 (OpenSSL), sync',
      command: [
        'sh',
        '-c',
        'cp -r "$0" "$1" && find "$1" -type f -exec openssl sha256 {} + && sync -f "$1"',
        model,
        output,
      ],
      rehearsed: true,
    },
    { name: 'chunk the package', command: [...sdconvert, 'chunk', '--quiet', model, '-o', output] },
    { name: 'quantize the package, 6 bits', command: quantize(model, targetPackage, ...bits) },
    { name: 'quantize ONNX, 6 bits', command: quantize(onnx, output, ...bits) },
    {
      name: 'quantize the package, 6 bits, group size 16',
      command: quantize(model, targetPackage, ...bits, '--group-size', '16'),
    },
    {
      name: 'quantize the package, 6 bits, int8 palettes',
      command: quantize(model, targetPackage, ...bits, '--int8-palette'),
    },
    { name: 'quantize ONNX, linear 8 bits', command: quantize(onnx, output, ...linear('8')) },
    { name: 'quantize ONNX, linear 4 bits', command: quantize(onnx, output, ...linear('4')) },
    {
      name: 'compile the package',
      command: [...sdconvert, 'compile', model, '-o', join(output, 'unet.mlmodelc')],
    },
    { name: 'validate the text encoder', command: validate(made, 'text_encoder') },
    {
      name: 'generate, one step',
      command: [...sdconvert, 'generate', '--quiet', '-i', join(made, 'onnx'), '-o', output, ...prompt],
    },
  ];
  return cases.map((each) => ({ ...each, baseline: COPY_MODEL, once: true }));
}

/** Against another precision's artifact, since a random checkpoint's activations are no picture. */
function validate(made: string, network: string): Case['command'] {
  const [artifact, reference] = [join(made, 'onnx', network), join(made, '..', 'sd15')];
  return [...sdconvert, 'validate', '--quiet', artifact, '--reference', reference];
}

/** Starting. */
export const startCases: readonly Case[] = [
  { name: 'node -e 0', command: ['node', '-e', '0'], baseline: 'node -e 0', once: true },
  { name: 'help', command: [...sdconvert, '--help'], baseline: 'node -e 0', once: true },
];
