import type { Options } from 'yargs';
import { profiles, usualClients } from '../../src/bundle/profiles/profiles.ts';
import type { PredictionType } from '../../src/checkpoint/single-file/prediction.ts';
import type { convertDefaults } from '../../src/commands/conversion/request.ts';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { NetworkPart } from '../../src/convert/networks/networks.ts';
import { defaultTargets, type TargetName, targetNames } from '../../src/formats/format.ts';
import type { Precision } from '../../src/quantize/precision.ts';
import { boundOptions } from '../bound-options.ts';
import { forOption, parseClients } from '../clients.ts';
import type { NeededOption } from '../needed-options.ts';
import { everyName } from '../options.ts';
import { compilerOption } from './compile.ts';

/** Options of `convert`; each group is a section of the help. */
type OptionGroup = Readonly<Record<string, Options>>;

/** Parts that can be converted alone: all but ControlNets, which are named by their location. */
export const parts = everyName<Exclude<NetworkPart, 'controlnet'>>({
  text_encoder: true,
  unet: true,
  vae_decoder: true,
  vae_encoder: true,
  safety_checker: true,
});

// The types keep it equal to the library's.
const defaultPrecision: (typeof convertDefaults)['precision'] = 'float16';

/** Names of macOS and iOS versions, and the macOS version of the same year. */
export const deployments = {
  macOS13: 'macOS13',
  macOS14: 'macOS14',
  macOS15: 'macOS15',
  iOS16: 'macOS13',
  iOS17: 'macOS14',
  iOS18: 'macOS15',
} as const;

// Object.keys gives strings; the table has exactly these keys.
const deploymentNames = Object.keys(deployments) as (keyof typeof deployments)[];

/** Options that most conversions need; --help --all shows the others. */
export const essentialOptions = {
  'model-version': {
    type: 'string',
    describe: 'Checkpoint: a diffusers folder, a .safetensors, .ckpt or .gguf file, or org/name on the Hub',
  },
  output: {
    alias: 'o',
    type: 'string',
    describe: 'Output folder [default: ./<name of the checkpoint>]',
  },
  target: {
    type: 'string',
    describe: `What to write, separated by commas: ${targetNames.join(', ')} [default: ${defaultTargets.join(',')}, or what --for needs]`,
  },
  for: forOption(
    ` [default: ${targetNames.map((target) => `${usualClients[target]} for ${target}`).join(', ')}]`,
  ),
  attention: {
    alias: 'attention-implementation',
    choices: everyName<AttentionImplementation>({
      ORIGINAL: true,
      SPLIT_EINSUM: true,
      SPLIT_EINSUM_V2: true,
    }),
    describe: 'Attention implementation [default: SPLIT_EINSUM for Core ML, ORIGINAL for ONNX and Core AI]',
  },
  precision: {
    choices: everyName<Precision>({ float32: true, float16: true, 'float16-weights': true }),
    default: defaultPrecision,
    describe: 'Precision of weights and computation; float16-weights: stored in float16, computed in float32',
  },
  'quantize-nbits': {
    type: 'number',
    describe: 'Palettize the weights of UNet, text encoders and ControlNets to 1, 2, 3, 4, 6 or 8 bits',
  },
  lora: {
    type: 'string',
    array: true,
    describe: 'LoRA to merge into UNet and text encoders: FILE or FILE:SCALE',
  },
  'chunk-unet': { type: 'boolean', default: false, describe: 'Cut the UNet into chunks' },
  'check-output-correctness': {
    type: 'boolean',
    default: false,
    describe: 'Run what was written against the float32 reference',
  },
  'dry-run': { type: 'boolean', default: false, describe: 'Show what would be written, and stop' },
  force: { type: 'boolean', default: false, describe: 'Replace existing results' },
} as const satisfies OptionGroup;

/** Networks to convert. */
export const modelOptions = {
  'convert-text-encoder': { type: 'boolean', describe: 'Convert the text encoder' },
  'convert-unet': { type: 'boolean', describe: 'Convert the UNet' },
  'convert-vae-decoder': { type: 'boolean', describe: 'Convert the VAE decoder' },
  'convert-vae-encoder': { type: 'boolean', describe: 'Convert the VAE encoder' },
  'convert-safety-checker': { type: 'boolean', describe: 'Convert the safety checker' },
} as const satisfies OptionGroup;

/** Other sources, and how they are read. */
export const sourceOptions = {
  'refiner-version': {
    type: 'string',
    describe: 'Refiner of Stable Diffusion XL, whose UNet is also converted',
  },
  'custom-vae-version': {
    type: 'string',
    describe: 'VAE that replaces the checkpoint’s (for SDXL: one that is safe in float16)',
  },
  'convert-controlnet': {
    type: 'string',
    array: true,
    describe: 'ControlNets to convert: folders, files or ids on the Hub; other models only if named',
  },
  'unet-support-controlnet': {
    type: 'boolean',
    default: false,
    describe: 'Convert the UNet with inputs for ControlNet residuals (control-unet instead of unet)',
  },
  variant: {
    type: 'string',
    describe: 'Weight variant, if the checkpoint has several: fp16, bf16, non_ema, …',
  },
  'prediction-type': {
    choices: everyName<PredictionType>({ epsilon: true, v_prediction: true }),
    describe: 'What the UNet predicts, if the checkpoint does not say',
  },
  strict: {
    type: 'boolean',
    default: false,
    describe: 'Refuse tensors that belong to none of the networks instead of ignoring them',
  },
} as const satisfies OptionGroup;

/** Fixed sizes. */
export const sizeOptions = {
  'latent-h': {
    type: 'number',
    describe:
      'Fix the latent height (picture height / 8) [default: the config’s for Core ML and Core AI, free for ONNX]',
  },
  'latent-w': { type: 'number', describe: 'Fix the latent width (picture width / 8)' },
  'text-token-sequence-length': {
    type: 'number',
    describe:
      'Fix the number of text tokens of the UNet [default: 77 for Core ML and Core AI, free for ONNX]',
  },
  'unet-batch-one': {
    type: 'boolean',
    default: false,
    describe: 'Core ML: UNet with batch size 1 instead of 2',
  },
} as const satisfies OptionGroup;

/** How results are made, checked and completed. */
export const resultOptions = {
  quantized: {
    type: 'boolean',
    default: true,
    describe: '--no-quantized: ignore --quantize-nbits, such as a script’s',
  },
  'max-chunk-size': { type: 'string', default: '1GB', describe: 'Maximum size of a chunk' },
  'min-deployment-target': {
    choices: deploymentNames,
    default: 'macOS13',
    describe: 'Core ML: oldest system that must load the packages',
  },
  compiler: {
    ...compilerOption,
    describe: `Core ML: compiler for Resources; ${compilerOption.describe}`,
  },
  'min-psnr': { type: 'number', default: 35, describe: 'Lowest PSNR in dB that passes the check' },
  'max-memory': {
    ...boundOptions['max-memory'],
    describe: 'Memory that the check may take (2GB, or what it needs)',
  },
  'tmp-dir': { ...boundOptions['tmp-dir'], describe: 'Folder for the temporary files of the check' },
  'bundle-resources-for-swift-cli': {
    type: 'boolean',
    describe: 'Accepted for compatibility with Apple’s tool: bundling is on by default',
  },
  bundle: {
    type: 'boolean',
    default: true,
    describe: 'Add configs, tokenizers and Resources (--no-bundle: models only)',
  },
  report: {
    type: 'boolean',
    default: false,
    describe: 'Write a report card, too: report.html, report.json and a model card (sdconvert report --help)',
  },
  'allow-non-finite': {
    type: 'boolean',
    default: false,
    describe:
      'Write weights that are NaN or infinite, or become infinite in float16, instead of refusing them',
  },
  verify: {
    type: 'boolean',
    default: false,
    describe: 'Check the SHA-256 of existing results before reusing them',
  },
} as const satisfies OptionGroup;

/** What belongs to one target, or to an option that is off by itself. */
export const neededOptions: readonly NeededOption[] = [
  {
    option: 'max-chunk-size',
    needs: '--chunk-unet',
    isMet: (argv) => argv['chunk-unet'] === true,
  },
  ...['min-psnr', 'max-memory', 'tmp-dir'].map((option) => ({
    option,
    needs: '--check-output-correctness',
    isMet: (argv: Readonly<Record<string, unknown>>) => argv['check-output-correctness'] === true,
  })),
  ...['min-deployment-target', 'unet-batch-one', 'compiler'].map((option) => ({
    option,
    needs: '--target coreml',
    isMet: writesCoreMl,
  })),
  { option: 'report', needs: '--no-dry-run', isMet: (argv) => argv['dry-run'] !== true },
  { option: 'compiler', needs: '--bundle', isMet: (argv) => argv.bundle !== false },
];

function writesCoreMl(argv: Readonly<Record<string, unknown>>): boolean {
  const { target, for: clients } = argv;
  if (typeof target === 'string') return target.includes('coreml' satisfies TargetName);
  const named = typeof clients === 'string' ? parseClients(clients) : undefined;
  return named?.some((client) => profiles[client].target === 'coreml') ?? true;
}

const NO_SD3 = 'Stable Diffusion 3 is not supported yet';

/** Options of Apple's command line that change nothing here, and why. */
export const withoutEffectHere = {
  'compute-unit': 'the compute unit is chosen by the app that loads the model',
  'xl-version': 'the kind of checkpoint is detected',
  'sd3-version': NO_SD3,
  'text-encoder-hidden-size': 'the hidden size is read from the weights',
  'text-encoder-vocabulary-url': 'the checkpoint’s own vocabulary is bundled',
  'text-encoder-merges-url': 'the checkpoint’s own merges are bundled',
  'text-encoder-t5-url': NO_SD3,
  'text-encoder-t5-config-url': NO_SD3,
  'text-encoder-t5-data-url': NO_SD3,
  'include-t5': NO_SD3,
  'convert-mmdit': NO_SD3,
} as const;

const NO_EFFECT = 'Accepted for compatibility with Apple’s tool; has no effect';

/** Declarations of these options. */
export const appleOptions = {
  'text-encoder-hidden-size': { type: 'number', describe: NO_EFFECT },
  'compute-unit': { type: 'string', describe: NO_EFFECT },
  'xl-version': { type: 'boolean', describe: NO_EFFECT },
  'sd3-version': { type: 'boolean', describe: NO_EFFECT },
  'text-encoder-vocabulary-url': { type: 'string', describe: NO_EFFECT },
  'text-encoder-merges-url': { type: 'string', describe: NO_EFFECT },
  'text-encoder-t5-url': { type: 'string', describe: NO_EFFECT },
  'text-encoder-t5-config-url': { type: 'string', describe: NO_EFFECT },
  'text-encoder-t5-data-url': { type: 'string', describe: NO_EFFECT },
  'include-t5': { type: 'boolean', describe: NO_EFFECT },
  'convert-mmdit': { type: 'boolean', describe: NO_EFFECT },
} as const satisfies OptionGroup;
