import type { Argv } from 'yargs';
import { clientNames } from '../../src/bundle/profiles/profile.ts';
import { profiles } from '../../src/bundle/profiles/profiles.ts';
import type { HubSource } from '../../src/checkpoint/checkpoint.ts';
import { parseLoraArgument } from '../../src/checkpoint/lora/lora-argument.ts';
import type { MemoryNeed } from '../../src/commands/conversion/memory.ts';
import type {
  ConvertedArtifact,
  ConvertOptions,
  ConvertResult,
} from '../../src/commands/conversion/request.ts';
import type { Sizes } from '../../src/convert/contracts/contract.ts';
import { RequestError } from '../../src/errors.ts';
import { type TargetName, targetNames } from '../../src/formats/format.ts';
import { alignColumns, count, didYouMean, formatBytes, onOneLine } from '../../src/text.ts';
import { runBounds } from '../bound-options.ts';
import { parseClients } from '../clients.ts';
import { declaredOptions } from '../declared-options.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import { parseBytes, wholeNumber } from '../options.ts';
import type { Report } from '../report.ts';
import type { Command } from './command.ts';
import {
  appleOptions,
  deployments,
  essentialOptions,
  modelOptions,
  neededOptions,
  parts,
  resultOptions,
  sizeOptions,
  sourceOptions,
  withoutEffectHere,
} from './convert-options.ts';
import { describeVerdicts } from './validate.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert [convert] --model-version DIR …`: converts a checkpoint. */
export const convertCommand: Command = {
  options: declare,
  needed: neededOptions,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { conversionStages, convertCheckpoint } = await import('../../src/commands/convert.ts');
    const options = { ...request(argv as Arguments), hub: await hubOptions(argv as Arguments) };
    for (const note of withoutEffect(argv as Arguments)) report.note(note);
    if (argv.report === true && !options.dryRun) return withReport(options, report);
    const result = await report.follow(await conversionStages(options), (context) =>
      convertCheckpoint(options, context),
    );
    report.result(result, options.dryRun ? describePlan(result) : describeResult(result));
    return 0;
  },
};

async function withReport(options: ConvertOptions, report: Report): Promise<number> {
  const { convertWithReport, reportedStages } = await import('../../src/commands/convert-with-report.ts');
  const result = await report.follow(await reportedStages(options), (context) =>
    convertWithReport(options, context),
  );
  report.result(result, `${describeResult(result)}\nReport: ${result.report[0]}`);
  return 0;
}

function declare(yargs: Argv, { all }: { readonly all: boolean }) {
  const declared = declareHubOptions(
    yargs
      .positional('checkpoint', { type: 'string', describe: 'The checkpoint to convert, as --model-version' })
      .options(essentialOptions)
      .group(Object.keys(essentialOptions), 'What most conversions need (--all shows the rest):')
      .options(modelOptions)
      .group(Object.keys(modelOptions), 'Models to convert (default: all that the checkpoint has):')
      .options(sourceOptions)
      .group(Object.keys(sourceOptions), 'Sources:')
      .options(sizeOptions)
      .group(Object.keys(sizeOptions), 'Fixed sizes:')
      .options(resultOptions)
      .group(Object.keys(resultOptions), 'Results:'),
  )
    .options(appleOptions)
    .group(Object.keys(appleOptions), 'Compatibility with Apple’s tool:')
    .example('$0 ./stable-diffusion-v1-5', 'everything, in float16')
    .example('$0 ./sd15 --for optimum,openvino', 'ONNX for two clients, which share the weights')
    .example(
      '$0 --model-version dreamshaper.safetensors --lora style.safetensors:0.7',
      'a single file, with a LoRA',
    )
    .example('$0 --model-version ./sd15 --chunk-unet --attention SPLIT_EINSUM', 'a UNet in chunks under 1 GB')
    .example(
      '$0 --model-version ./sd15 --convert-unet --precision float16-weights',
      'one model: half the size, full accuracy on a CPU',
    );
  const known = new Set<string>(['checkpoint', ...Object.keys(essentialOptions)]);
  const shown = (name: string) => known.has(name) || everywhere.has(name);
  if (!all) for (const name of declaredOptions(declared)) if (!shown(name)) declared.hide(name);
  return declared;
}

/** Options of every command. */
const everywhere: ReadonlySet<string> = new Set(['json', 'quiet', 'verbose', 'all', 'help', 'version']);

/** Notes on options of Apple's command line that have no effect here. */
function withoutEffect(argv: Arguments): string[] {
  return Object.entries(withoutEffectHere).flatMap(([name, reason]) =>
    argv[name] === undefined ? [] : [`--${name} has no effect: ${reason}.`],
  );
}

function request(argv: Arguments): ConvertOptions {
  const { checkpoint, 'model-version': modelVersion = checkpoint } = argv;
  if (modelVersion === undefined) {
    throw new RequestError({
      problem: 'no checkpoint to convert is given.',
      advice:
        argv.lora || argv['convert-controlnet']
          ? 'Name it first: --lora and --convert-controlnet take all that follows them.'
          : 'Name a folder, a file or an id on the Hub: sdconvert ./stable-diffusion-v1-5',
    });
  }
  if (checkpoint !== undefined && checkpoint !== modelVersion)
    throw new RequestError({
      problem: `two checkpoints are given: ${checkpoint} and ${modelVersion}.`,
      advice: 'Convert one at a time; sdconvert batch converts many.',
    });
  const flag = (name: string) => argv[`convert-${name.replaceAll('_', '-')}`];
  const models = parts.filter((name) => flag(name) === true);
  if (models.length === 0 && argv['convert-controlnet'] && argv['unet-support-controlnet'])
    models.push('unet');
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
    targets: argv.target === undefined ? undefined : parseTargets(argv.target),
    clients: parseClients(argv.for),
    attention: argv.attention,
    models: models.length > 0 || isControlNetAlone(argv, without) ? models : undefined,
    without,
    precision: argv.precision,
    maxChunkBytes: argv['chunk-unet'] ? parseBytes(argv['max-chunk-size'], '--max-chunk-size') : undefined,
    sizes: sizes(argv),
    deployment: deployments[argv['min-deployment-target']],
    minPsnr: argv['check-output-correctness'] ? argv['min-psnr'] : undefined,
    ...runBounds(argv),
    bundle: argv.bundle,
    compiler: argv.compiler,
    variant: argv.variant,
    predictionType: argv['prediction-type'],
    strict: argv.strict,
    allowNonFinite: argv['allow-non-finite'],
    force: argv.force,
    verify: argv.verify,
    dryRun: argv['dry-run'],
  };
}

/** As with Apple's tool, naming nothing but ControlNets converts nothing else. */
function isControlNetAlone(argv: Arguments, without: readonly string[]): boolean {
  return argv['convert-controlnet'] !== undefined && without.length === 0;
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
      advice: `${didYouMean(part, targetNames)}Choose from ${targetNames.join(', ')}.`,
    });
  });
  return [...new Set(targets)];
}

function describeResult(result: ConvertResult): string {
  const sections = [describeArtifacts(result.artifacts)];
  if (result.verdicts.length > 0) sections.push(describeVerdicts(result.verdicts));
  return [...sections, `Written to ${result.output}`].join('\n\n');
}

function describePlan({ output, artifacts, bundled, memory, downloads = [] }: ConvertResult): string {
  const sections = [describeArtifacts(artifacts)];
  if (downloads.length > 0) sections.unshift(describeDownloads(downloads));
  if (bundled.length > 0)
    sections.push(
      ['and, for the apps that load them:', ...bundled.map((path) => onOneLine(path))].join('\n  '),
    );
  const nothing = `Nothing was written. Without --dry-run this goes to ${output}`;
  return [...sections, `${nothing}${memory ? `, ${describeMemory(memory)}` : ''}.`].join('\n\n');
}

/** A row for each file of the Hub that is needed, and the bytes that have to come. */
function describeDownloads(downloads: readonly HubSource[]): string {
  const files = downloads.flatMap(({ repo, files: own }) => own.map((file) => ({ repo, ...file })));
  const missing = files.filter(({ isCached }) => !isCached);
  const sum = missing.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  const left = files.length - missing.length;
  return alignColumns([
    ['download', 'size', ''],
    ...files.map(({ repo, name, byteLength, isCached }) => [
      `${repo}/${name}`,
      formatBytes(byteLength),
      isCached ? 'in the cache' : '',
    ]),
    [
      'to download',
      formatBytes(sum),
      `${count(missing.length, 'file')}${left > 0 ? `, ${left} in the cache` : ''}`,
    ],
  ]);
}

function describeMemory({ conversion, check }: MemoryNeed): string {
  const checking = check ? `; the check takes about ${formatBytes(check.bytes)} (${check.network})` : '';
  return `with about ${formatBytes(conversion)} of memory${checking}`;
}

/** Whether a client wants the weights inside of a model, so that they cannot be shared with others. */
function loadsOneFile(client: string | undefined): boolean {
  const name = clientNames.find((each) => each === client);
  return name !== undefined && profiles[name].form?.onnx?.data === null;
}

/** Table of the artifacts, with their total size. */
function describeArtifacts(artifacts: readonly ConvertedArtifact[]): string {
  const sized = artifacts.map(({ path, files, kept, twin, client }) => ({
    path,
    remark: [
      kept ? 'reused' : '',
      twin ? `weights of ${twin.path}` : '',
      loadsOneFile(client) ? `in one file, as ${client} loads it: weights of its own` : '',
    ]
      .filter(Boolean)
      .join(', '),
    bytes: files.reduce((sum, { byteLength }) => sum + byteLength, 0) - (twin?.sharedBytes ?? 0),
  }));
  const sum = sized.reduce((bytes, each) => bytes + each.bytes, 0);
  return alignColumns([
    ['artifact', 'size', ''],
    ...sized.map(({ path, bytes, remark }) => [path, formatBytes(bytes), remark]),
    ['total', formatBytes(sum), ''],
  ]);
}
