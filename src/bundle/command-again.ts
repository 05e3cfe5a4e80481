import { type Variant, variantsAmong } from '../checkpoint/component-weights.ts';
import { type NetworkKind, type NetworkName, networkKind } from '../convert/networks/networks.ts';
import { trainedFactors } from '../convert/networks/vae-variant.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { type TargetName, targetOf } from '../formats/format.ts';
import type { ArtifactRecord, Provenance } from '../formats/provenance.ts';
import { targets as builders } from '../formats/targets.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { shown } from '../io/error-text.ts';
import { isJsonObject } from '../io/json/python-json.ts';
import type { Precision } from '../quantize/precision.ts';
import type { ClientName } from './profiles/profile.ts';
import { profiles, usualClients } from './profiles/profiles.ts';

/** The command that makes a conversion again, and what is to be known before it is run. */
export interface CommandAgain {
  readonly command: string | null;
  readonly note: string | null;
}

/** An artifact of a target on record. */
interface Made {
  readonly target: TargetName;
  readonly network: NetworkName;
  readonly options: ArtifactRecord['options'];
  /** Of the weights that it was made of. */
  readonly variant: Variant | undefined;
}

/** Networks that a checkpoint of any family has: where all are there, none need be named. */
const usual: readonly NetworkKind[] = ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'];

/**
 * The one command that makes the recorded artifacts again; `null`, and why, where no single one does: artifacts that were made
 * with different options, or changed afterwards.
 */
export function commandAgain(
  { artifacts, checkpoint, pipeline, hub = [] }: Provenance,
  folder: string,
): CommandAgain {
  const made = madeOf(artifacts);
  if (!checkpoint || made.length === 0)
    return { command: null, note: 'The record does not say what it was made of.' };
  if (made.some(({ options }) => isInPlace(options.quantization)))
    return {
      command: null,
      note: 'Weights were quantised after the conversion (sdconvert quantize --in-place).',
    };
  const way = made.map(({ options }) => otherWay(options.quantization)).find((each) => each !== undefined);
  if (way !== undefined)
    return {
      command: null,
      note: `Weights have fewer bits in a way that convert has no options for: ${way}. The library has.`,
    };
  const options = optionsOf(made, isXlOf(pipeline));
  if (!options)
    return { command: null, note: 'Its models were made with different options, by several commands.' };
  const onHub = nameOnHub({ checkpoint, hub });
  const name = checkpoint.name || 'CHECKPOINT';
  const { command } = nextCommand(
    'convert',
    '--model-version',
    ...(onHub ?? [name]),
    ...options,
    ...predictionOptions(pipeline),
    '-o',
    folder,
  );
  const lacks = made.some(({ network }) => networkKind(network).startsWith('vae'))
    ? ' The record does not tell whether another VAE replaced its own (--custom-vae-version).'
    : '';
  const note = onHub ? null : `${name} is the checkpoint that was converted, wherever it lies.${lacks}`;
  return { command, note };
}

/** Where a client's models are converted again. */
interface Place {
  /** The output folder; OUT, which is another one, when left out. */
  readonly output?: string | undefined;
  /** Whether models that are there are to be replaced. */
  readonly replaces: boolean;
  /** Options on record that are not to be taken again. */
  readonly without?: readonly string[];
}

/**
 * The command that converts for a client, with the options that are on record of its models, as far as it loads what they make.
 * Where no single command line has them, what is there is replaced by what the usual ones make.
 */
export function convertFor(
  client: ClientName,
  record: Provenance | undefined,
  { output, replaces, without = [] }: Place,
): string {
  // On a disk the checkpoint may lie anywhere.
  const checkpoint = (record && nameOnHub(record)) ?? ['CHECKPOINT'];
  const options = record && optionsFor(client, record, without);
  const isForced = output !== undefined && (replaces || options === undefined);
  return nextCommand(
    'convert',
    '--model-version',
    ...checkpoint,
    '--for',
    client,
    ...(options ?? []),
    ...predictionOptions(record?.pipeline),
    '-o',
    output ?? 'OUT',
    ...(isForced ? ['--force'] : []),
  ).command;
}

/** `undefined` where no single command line has the options that are on record. */
function optionsFor(
  client: ClientName,
  { artifacts, pipeline }: Provenance,
  without: readonly string[],
): readonly string[] | undefined {
  const { target, takesChunks } = profiles[client];
  const made = madeOf(artifacts).filter((each) => each.target === target);
  if (made.some(({ options }) => isInPlace(options.quantization))) return undefined;
  const always = [...without, ...(takesChunks ? [] : ['maxChunkBytes'])];
  const taken = made.map(({ options, ...each }) => {
    const isOblong = options.latentHeight !== options.latentWidth;
    // Apple's pipelines draw squares, of one prompt and 77 tokens.
    const refused = ['unetBatch', 'textTokens', ...(isOblong ? ['latentHeight', 'latentWidth'] : [])];
    const left = new Set([...always, ...(target === 'coreai' ? refused : [])]);
    return {
      ...each,
      options: Object.fromEntries(Object.entries(options).filter(([key]) => !left.has(key))),
    };
  });
  return wayOf(taken, isXlOf(pipeline));
}

function madeOf(artifacts: Provenance['artifacts']): Made[] {
  return Object.entries(artifacts).flatMap(([path, { options, source }]): Made[] => {
    const { network } = parsePath(path);
    const target = targetOf(path);
    return network && 'precision' in options
      ? [{ target, network, options, variant: variantOf(Object.keys(source)) }]
      : [];
  });
}

/** The variant of a checkpoint's weights by the files on record. What is in no folder of it is another model's, or all of it. */
function variantOf(files: readonly string[]): Variant | undefined {
  const inFolders = files.flatMap((file) => /[/\\]([^/\\]+)$/.exec(file)?.[1] ?? []);
  return variantsAmong(inFolders.map((name) => name.replace(/-\d{5}-of-\d{5}(?=\.)/, '')))[0];
}

function isXlOf(pipeline: Provenance['pipeline']): boolean {
  return pipeline?.latentScale?.factor === trainedFactors.xl;
}

/** The name of a checkpoint that came from the Hub, and its revision there, as `--model-version` and what follows. */
function nameOnHub({ checkpoint, hub = [] }: Pick<Provenance, 'checkpoint' | 'hub'>): string[] | undefined {
  const [source] = hub;
  if (!source || hub.length > 1 || !checkpoint?.name.startsWith(source.repo)) return undefined;
  return [checkpoint.name, '--revision', source.commit];
}

/** Options of the command line that all of them were made with; `undefined` where no single command line has them. */
function optionsOf(made: readonly Made[], isXl: boolean): string[] | undefined {
  const targets = [...new Set(made.map(({ target }) => target))];
  const isUsual = targets.length === 2 && !targets.includes('coreai');
  const way = wayOf(made, isXl);
  const clients = clientsOf(made);
  return (
    way && [
      ...networkOptions(new Set(made.map(({ network }) => network))),
      ...(clients.length > 0 ? ['--for', clients.join(',')] : []),
      ...(isUsual || clients.length > 0 ? [] : ['--target', targets.join(',')]),
      ...way,
    ]
  );
}

/** How the networks were made, whichever they are. */
function wayOf(made: readonly Made[], isXl: boolean): string[] | undefined {
  const all = (key: string) =>
    new Set(made.map(({ options }) => JSON.stringify(options[key])).filter((value) => value !== undefined));
  for (const key of ['loras', 'quantization', 'maxChunkBytes', 'latentHeight', 'latentWidth'])
    if (all(key).size > 1) return undefined;
  const attention = attentionOf(made);
  const precision = precisionOf(made, isXl);
  if (attention === undefined || precision === undefined) return undefined;
  const variants = [...new Set(made.flatMap(({ variant }) => variant ?? []))];
  if (variants.length > 1 || made.some(({ options }) => otherWay(options.quantization))) return undefined;
  const one = (key: string): unknown => [...all(key)].map((value) => JSON.parse(value))[0];
  const deployment = one('deployment');
  return [
    ...option('--variant', variants[0]),
    ...attention,
    ...option('--precision', precision, 'float16'),
    ...option('--min-deployment-target', deployment, 'macOS13'),
    ...quantizationOptions(one('quantization')),
    ...chunkOptions(one('maxChunkBytes')),
    ...option('--latent-h', one('latentHeight')),
    ...option('--latent-w', one('latentWidth')),
    ...option('--text-token-sequence-length', one('textTokens')),
    ...(one('unetBatch') === 1 ? ['--unet-batch-one'] : []),
    ...loraOptions(one('loras')),
  ];
}

/**
 * The precision that was asked for: a target may take the nearest that it has, and the VAE of XL, which overflows in float16, stays in float32.
 * `undefined` where no single one gives all.
 */
function precisionOf(made: readonly Made[], isXl: boolean): Precision | undefined {
  const gives = (asked: Precision, mayBeWide: boolean) =>
    made.every(({ target, network, options }) => {
      const isWide = mayBeWide && networkKind(network).startsWith('vae') && options.precision === 'float32';
      return isWide || options.precision === builders[target].precision(asked);
    });
  const usualFirst: readonly Precision[] = ['float16', 'float16-weights', 'float32'];
  return usualFirst.find((asked) => gives(asked, false)) ?? usualFirst.find((asked) => gives(asked, isXl));
}

/** The clients that were named: none where all artifacts have their targets' own forms. */
function clientsOf(made: readonly Made[]): readonly string[] {
  const named = new Set(
    made.flatMap(({ options }) => (typeof options.client === 'string' ? options.client : [])),
  );
  if (named.size === 0) return [];
  const own = made.flatMap(({ target, options }) =>
    options.client === undefined ? usualClients[target] : [],
  );
  return [...new Set([...own, ...named])];
}

/** Nothing where each target has its usual implementation; `undefined` where one option cannot say it. */
function attentionOf(made: readonly Made[]): string[] | undefined {
  const found = [...new Set(made.map(({ options }) => options.attention))];
  if (made.every(({ target, options }) => options.attention === builders[target].attention)) return [];
  return found.length === 1 ? ['--attention', argument(found[0])] : undefined;
}

function networkOptions(networks: ReadonlySet<NetworkName>): string[] {
  const all = new Set([...networks].map(networkKind));
  const options = all.has('control-unet') ? ['--unet-support-controlnet'] : [];
  const kinds = new Set<NetworkKind>([...all].map((kind) => (kind === 'control-unet' ? 'unet' : kind)));
  // Beside ControlNets that are named, convert makes only what is named, too.
  const isWhole = usual.every((kind) => kinds.has(kind)) && !kinds.has('controlnet');
  const named = isWhole ? [] : [...kinds].filter((kind) => parts.includes(kind));
  const more = [
    ...(kinds.has('refiner') ? ['--refiner-version', 'REFINER'] : []),
    ...(kinds.has('controlnet') ? ['--convert-controlnet', 'CONTROLNET'] : []),
  ];
  return [...named.map((kind) => `--convert-${kind.replaceAll('_', '-')}`), ...options, ...more];
}

/** Networks with an option of their own. */
const parts: readonly NetworkKind[] = [...usual, 'safety_checker'];

function quantizationOptions(value: unknown): string[] {
  return isJsonObject(value) && typeof value.bits === 'number'
    ? ['--quantize-nbits', String(value.bits)]
    : [];
}

/** A checkpoint may say it itself; that does no harm. */
function predictionOptions(pipeline: Provenance['pipeline']): string[] {
  return pipeline?.scheduler?.prediction_type === 'v_prediction' ? ['--prediction-type', 'v_prediction'] : [];
}

function chunkOptions(bytes: unknown): string[] {
  if (typeof bytes !== 'number') return [];
  return ['--chunk-unet', ...option('--max-chunk-size', bytes, 1e9)];
}

function loraOptions(loras: unknown): string[] {
  if (!Array.isArray(loras) || loras.length === 0) return [];
  const named = loras.filter(isJsonObject).map(({ name, scale }) => `${argument(name)}:${argument(scale)}`);
  return ['--lora', ...named];
}

/** An option that is not at its default. */
function option(name: string, value: unknown, usually?: unknown): string[] {
  return value === undefined || value === null || value === usually ? [] : [name, argument(value)];
}

/** How weights got fewer bits, where it is not the usual way; in words: `mode linear, groupSize 32`. */
function otherWay(quantization: unknown): string | undefined {
  if (!isJsonObject(quantization)) return undefined;
  const { bits: _, ...others } = quantization;
  const unusual = Object.entries(others).filter(
    ([key, value]) => !(key === 'mode' && value === 'palette') && value !== false,
  );
  return unusual.length > 0
    ? unusual.map(([key, value]) => `${key} ${argument(value)}`).join(', ')
    : undefined;
}

/** A value on record, which may come from anybody, as an argument. */
function argument(value: unknown): string {
  if (Array.isArray(value)) return value.map(argument).join();
  return typeof value === 'string' ? value : shown(value);
}

function isInPlace(quantization: unknown): boolean {
  return isJsonObject(quantization) && 'inPlace' in quantization;
}
