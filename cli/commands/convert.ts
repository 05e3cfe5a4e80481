import type { Argv } from 'yargs';
import { parseLoraArgument } from '../../src/checkpoint/lora/lora-argument.ts';
import type { PredictionType } from '../../src/checkpoint/single-file/prediction.ts';
import type { MemoryNeed } from '../../src/commands/conversion/memory.ts';
import type {
  ConvertedArtifact,
  ConvertOptions,
  ConvertResult,
  convertDefaults,
} from '../../src/commands/conversion/request.ts';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { Sizes } from '../../src/convert/contracts/contract.ts';
import type { NetworkPart } from '../../src/convert/networks/networks.ts';
import { RequestError } from '../../src/errors.ts';
import { type TargetName, targetNames } from '../../src/formats/format.ts';
import type { Precision } from '../../src/quantize/precision.ts';
import { alignColumns, formatBytes } from '../../src/text.ts';
import { declaredOptions } from '../declared-options.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import { everyName, parseBytes, wholeNumber } from '../options.ts';
import type { Command } from './command.ts';
import { compilerOption } from './compile.ts';
import { describeVerdicts } from './validate.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert [convert] --model-version DIR …`: a checkpoint through every stage. */
export const convertCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { conversionStages, convertCheckpoint } = await import('../../src/commands/convert.ts');
    const options = { ...request(argv as Arguments), hub: await hubOptions(argv as Arguments) };
    for (const note of withoutEffect(argv as Arguments)) report.note(note);
    const result = await report.follow(await conversionStages(options), (context) =>
      convertCheckpoint(options, context),
    );
    report.result(result, options.dryRun ? describePlan(result) : describeResult(result));
    return 0;
  },
};

/** What can be converted alone: every part but ControlNets, which are named by where they are. */
const parts = everyName<Exclude<NetworkPart, 'controlnet'>>({
  text_encoder: true,
  unet: true,
  vae_decoder: true,
  vae_encoder: true,
  safety_checker: true,
});

// The type holds it equal to the library's.
const defaultPrecision: (typeof convertDefaults)['precision'] = 'float16';

const partFlags = parts.map((name) => `convert-${name.replaceAll('_', '-')}`);

const NO_EFFECT = 'Accepted for command lines of Apple’s tool; has no effect';

/** A system's name in either family, and the macOS of its generation. */
const deployments = {
  macOS13: 'macOS13',
  macOS14: 'macOS14',
  macOS15: 'macOS15',
  iOS16: 'macOS13',
  iOS17: 'macOS14',
  iOS18: 'macOS15',
} as const;

// Object.keys gives strings; the table has exactly these keys.
const deploymentNames = Object.keys(deployments) as (keyof typeof deployments)[];

/** What most conversions need; the other options are shown by --help --all. */
const essential: ReadonlySet<string> = new Set([
  'model-version',
  'output',
  'target',
  'attention',
  'precision',
  'quantize-nbits',
  'lora',
  'chunk-unet',
  'check-output-correctness',
  'dry-run',
  'force',
]);

function declare(yargs: Argv, { all }: { readonly all: boolean }) {
  const before = new Set(declaredOptions(yargs));
  const declared = declareAppleOptions(declareHubOptions(declareConversion(yargs)));
  for (const name of declaredOptions(declared)) {
    if (!all && !before.has(name) && !essential.has(name)) declared.hide(name);
  }
  return declared;
}

const NO_SD3 = 'Stable Diffusion 3 is not supported yet';

/** Options of Apple's command line that change nothing here, and why. */
const withoutEffectHere = {
  'compute-unit': 'the compute unit is chosen by the app that loads the model',
  'xl-version': 'what the checkpoint is shows in itself',
  'sd3-version': NO_SD3,
  'text-encoder-hidden-size': 'the weights say how wide the text is',
  'text-encoder-vocabulary-url': 'the checkpoint’s own vocabulary is bundled',
  'text-encoder-merges-url': 'the checkpoint’s own merges are bundled',
  'text-encoder-t5-url': NO_SD3,
  'text-encoder-t5-config-url': NO_SD3,
  'text-encoder-t5-data-url': NO_SD3,
  'include-t5': NO_SD3,
  'convert-mmdit': NO_SD3,
} as const;

function declareAppleOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('text-encoder-hidden-size', { type: 'number', describe: NO_EFFECT })
    .option('compute-unit', { type: 'string', describe: NO_EFFECT })
    .option('xl-version', { type: 'boolean', describe: NO_EFFECT })
    .option('sd3-version', { type: 'boolean', describe: NO_EFFECT })
    .option('text-encoder-vocabulary-url', { type: 'string', describe: NO_EFFECT })
    .option('text-encoder-merges-url', { type: 'string', describe: NO_EFFECT })
    .option('text-encoder-t5-url', { type: 'string', describe: NO_EFFECT })
    .option('text-encoder-t5-config-url', { type: 'string', describe: NO_EFFECT })
    .option('text-encoder-t5-data-url', { type: 'string', describe: NO_EFFECT })
    .option('include-t5', { type: 'boolean', describe: NO_EFFECT })
    .option('convert-mmdit', { type: 'boolean', describe: NO_EFFECT });
}

function declareConversion(yargs: Argv) {
  return yargs
    .group([...essential], 'What most conversions need (--all shows the rest):')
    .option('model-version', {
      type: 'string',
      describe:
        'A diffusers folder, a .safetensors, .ckpt or .gguf file, or org/name on the Hub; --model-version itself may be left out',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'Output folder [default: ./<name of the checkpoint>]',
    })
    .option('target', {
      type: 'string',
      describe: 'What to write, comma-separated',
      default: targetNames.join(','),
    })
    .option('attention', {
      alias: 'attention-implementation',
      choices: everyName<AttentionImplementation>({
        ORIGINAL: true,
        SPLIT_EINSUM: true,
        SPLIT_EINSUM_V2: true,
      }),
      describe: 'How attention is built [default: SPLIT_EINSUM for Core ML, ORIGINAL for ONNX]',
    })
    .option('convert-text-encoder', { type: 'boolean', describe: 'Convert the text encoder' })
    .option('convert-unet', { type: 'boolean', describe: 'Convert the UNet' })
    .option('convert-vae-decoder', { type: 'boolean', describe: 'Convert the VAE decoder' })
    .option('convert-vae-encoder', { type: 'boolean', describe: 'Convert the VAE encoder' })
    .option('convert-safety-checker', { type: 'boolean', describe: 'Convert the safety checker' })
    .option('convert-controlnet', {
      type: 'string',
      array: true,
      describe: 'ControlNets to convert, too: folders, files or ids on the Hub',
    })
    .option('unet-support-controlnet', {
      type: 'boolean',
      default: false,
      describe: 'A UNet that takes the residuals of ControlNets (control-unet instead of unet)',
    })
    .option('refiner-version', {
      type: 'string',
      describe: 'The refiner of Stable Diffusion XL: its UNet is converted, too',
    })
    .option('custom-vae-version', {
      type: 'string',
      describe: 'A VAE in the place of the checkpoint’s (for SDXL: one that is safe in float16)',
    })
    .option('lora', {
      type: 'string',
      array: true,
      describe: 'FILE or FILE:SCALE; merged into UNet and text encoders',
    })
    .option('precision', {
      choices: everyName<Precision>({ float32: true, float16: true, 'float16-weights': true }),
      default: defaultPrecision,
      describe: 'Weights and computation; float16-weights: stored in float16, computed in float32',
    })
    .option('quantize-nbits', {
      type: 'number',
      describe:
        'Palettes of so many bits for the weights of UNet, text encoders and ControlNets: 1, 2, 3, 4, 6 or 8',
    })
    .option('quantized', {
      type: 'boolean',
      default: true,
      describe: '--no-quantized: leave out --quantize-nbits of a script',
    })
    .option('chunk-unet', { type: 'boolean', default: false, describe: 'Cut the UNet into chunks' })
    .option('max-chunk-size', { type: 'string', default: '1GB', describe: 'Largest chunk' })
    .option('latent-h', {
      type: 'number',
      describe:
        'Fix the latent height (picture height / 8) [default: the config’s for Core ML, free for ONNX]',
    })
    .option('latent-w', { type: 'number', describe: 'Fix the latent width (picture width / 8)' })
    .option('text-token-sequence-length', {
      type: 'number',
      describe: 'Fix the number of text tokens the UNet reads [default: 77 for Core ML, free for ONNX]',
    })
    .option('unet-batch-one', {
      type: 'boolean',
      default: false,
      describe: 'Core ML: a UNet for one row instead of two',
    })
    .option('min-deployment-target', {
      choices: deploymentNames,
      default: 'macOS13' as const,
      describe: 'Core ML: the oldest system that is to load it',
    })
    .option('compiler', {
      ...compilerOption,
      describe: `Core ML: who compiles Resources; ${compilerOption.describe}`,
    })
    .option('variant', {
      type: 'string',
      describe: 'Which weights, where the checkpoint has several: fp16, bf16, non_ema, …',
    })
    .option('prediction-type', {
      choices: everyName<PredictionType>({ epsilon: true, v_prediction: true }),
      describe: 'What the UNet predicts, where the checkpoint does not say it',
    })
    .option('strict', {
      type: 'boolean',
      default: false,
      describe: 'Refuse what lies around the networks, too, instead of leaving it aside',
    })
    .option('check-output-correctness', {
      type: 'boolean',
      default: false,
      describe: 'Run what was written against the float32 reference',
    })
    .option('min-psnr', { type: 'number', default: 35, describe: 'Lowest PSNR in dB that passes the check' })
    .option('bundle-resources-for-swift-cli', {
      type: 'boolean',
      describe: 'Accepted for command lines of Apple’s tool: bundling is on',
    })
    .option('bundle', {
      type: 'boolean',
      default: true,
      describe: 'Complete the folder for its consumers (--no-bundle: models only)',
    })
    .option('dry-run', { type: 'boolean', default: false, describe: 'Show what would be written, and stop' })
    .option('verify', {
      type: 'boolean',
      default: false,
      describe: 'Compare the SHA-256 of existing results before they are reused',
    })
    .option('force', { type: 'boolean', default: false, describe: 'Replace results that exist' })
    .group(partFlags, 'Models (all that the checkpoint has, unless some are named):')
    .group(
      [
        'refiner-version',
        'custom-vae-version',
        'lora',
        'convert-controlnet',
        'unet-support-controlnet',
        'variant',
        'prediction-type',
        'strict',
      ],
      'Beside the checkpoint:',
    )
    .group(['latent-h', 'latent-w', 'text-token-sequence-length', 'unet-batch-one'], 'Sizes:')
    .example('$0 ./stable-diffusion-v1-5', 'everything, in float16')
    .example(
      '$0 --model-version dreamshaper.safetensors --lora style.safetensors:0.7',
      'a single file, with a LoRA',
    )
    .example('$0 --model-version ./sd15 --chunk-unet --attention SPLIT_EINSUM', 'a UNet in chunks under 1 GB')
    .example(
      '$0 --model-version ./sd15 --convert-unet --precision float16-weights',
      'one model: half the size, full accuracy on a CPU',
    );
}

/** What Apple's command lines may carry and what it comes to here, a sentence each. */
function withoutEffect(argv: Arguments): string[] {
  return Object.entries(withoutEffectHere).flatMap(([name, reason]) =>
    argv[name] === undefined ? [] : [`--${name} has no effect: ${reason}.`],
  );
}

function request(argv: Arguments): ConvertOptions {
  const { 'model-version': modelVersion } = argv;
  if (modelVersion === undefined) {
    throw new RequestError({
      problem: 'it is not said what to convert.',
      advice: 'Name a folder, a file or an id on the Hub: sdconvert ./stable-diffusion-v1-5',
    });
  }
  for (const name of ['model-version', 'refiner-version', 'custom-vae-version'] as const) {
    if (argv[name] !== '') continue;
    throw new RequestError({
      problem: `--${name} names nothing.`,
      advice: 'Name a folder, a file or an id on the Hub.',
    });
  }
  const flag = (name: string) => argv[`convert-${name.replaceAll('_', '-')}`];
  const models = parts.filter((name) => flag(name) === true);
  const without = parts.filter((name) => flag(name) === false);
  const nbits = argv.quantized ? argv['quantize-nbits'] : undefined;
  return {
    modelVersion,
    refinerVersion: argv['refiner-version'],
    customVaeVersion: argv['custom-vae-version'],
    controlnets: argv['convert-controlnet'],
    controlledUnet: argv['unet-support-controlnet'],
    loras: argv.lora?.map(parseLoraArgument),
    quantization: nbits === undefined ? undefined : { bits: wholeNumber(nbits, '--quantize-nbits', 1) },
    output: argv.output,
    targets: parseTargets(argv.target),
    attention: argv.attention,
    models: models.length > 0 ? models : undefined,
    without,
    precision: argv.precision,
    maxChunkBytes: argv['chunk-unet'] ? parseBytes(argv['max-chunk-size'], '--max-chunk-size') : undefined,
    sizes: sizes(argv),
    deployment: deployments[argv['min-deployment-target']],
    minPsnr: argv['check-output-correctness'] ? argv['min-psnr'] : undefined,
    bundle: argv.bundle,
    compiler: argv.compiler,
    variant: argv.variant,
    predictionType: argv['prediction-type'],
    strict: argv.strict,
    force: argv.force,
    verify: argv.verify,
    dryRun: argv['dry-run'],
  };
}

function sizes(argv: Arguments): Sizes {
  const given = {
    latentHeight: size(argv, 'latent-h'),
    latentWidth: size(argv, 'latent-w'),
    unetBatch: argv['unet-batch-one'] ? 1 : undefined,
    textTokens: size(argv, 'text-token-sequence-length'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function size(
  argv: Arguments,
  option: 'latent-h' | 'latent-w' | 'text-token-sequence-length',
): number | undefined {
  const value = argv[option];
  return value === undefined ? undefined : wholeNumber(value, `--${option}`, 1);
}

function parseTargets(text: string): TargetName[] {
  const targets = text.split(',').map((part) => {
    const target = targetNames.find((name) => name === part.trim());
    if (target) return target;
    throw new RequestError({
      problem: `--target ${part} is not a target.`,
      advice: `Choose from ${targetNames.join(', ')}.`,
    });
  });
  return [...new Set(targets)];
}

function describeResult(result: ConvertResult): string {
  const sections = [describeArtifacts(result.artifacts)];
  if (result.verdicts.length > 0) sections.push(describeVerdicts(result.verdicts));
  return [...sections, `Written to ${result.output}`].join('\n\n');
}

function describePlan({ output, artifacts, bundled, memory }: ConvertResult): string {
  const sections = [describeArtifacts(artifacts)];
  if (bundled.length > 0) sections.push(['and, for those who load it:', ...bundled].join('\n  '));
  const nothing = `Nothing was written. Without --dry-run this goes to ${output}`;
  return [...sections, `${nothing}${memory ? `, ${describeMemory(memory)}` : ''}.`].join('\n\n');
}

function describeMemory({ conversion, check }: MemoryNeed): string {
  const checking = check ? `; the check takes about ${formatBytes(check.bytes)} (${check.network})` : '';
  return `with about ${formatBytes(conversion)} of memory${checking}`;
}

/** A row for each artifact, and their sum. */
function describeArtifacts(artifacts: readonly ConvertedArtifact[]): string {
  const sized = artifacts.map(({ path, files, kept }) => ({
    path,
    kept,
    bytes: files.reduce((sum, { byteLength }) => sum + byteLength, 0),
  }));
  const sum = sized.reduce((bytes, each) => bytes + each.bytes, 0);
  return alignColumns([
    ['artifact', 'size', ''],
    ...sized.map(({ path, bytes, kept }) => [path, formatBytes(bytes), kept ? 'reused' : '']),
    ['together', formatBytes(sum), ''],
  ]);
}
