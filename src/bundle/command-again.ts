import { type Variant, variantsAmong } from '../checkpoint/component-weights.ts';
import { type NetworkKind, type NetworkName, networkKind } from '../convert/networks/networks.ts';
import { trainedFactors } from '../convert/networks/vae-variant.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { defaultTargets, type TargetName, targetOf } from '../formats/format.ts';
import type { ArtifactRecord, HubRecord, Provenance } from '../formats/provenance.ts';
import { targets as builders } from '../formats/targets.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { shown } from '../io/error-text.ts';
import { isJsonObject } from '../io/json/python-json.ts';
import type { Precision } from '../quantize/precision.ts';
import { nameOnHub, pinned } from './hub-names.ts';
import type { ClientName } from './profiles/profile.ts';
import { profiles, usualClients } from './profiles/profiles.ts';

/** The command that makes a conversion again, and what is to be known before it is run. */
export interface CommandAgain {
  readonly command: string | null;
  readonly note: string | null;
}

/** A LoRA as commands name it. */
interface Lora {
  readonly path: string;
  readonly scale: string;
}

/** An artifact of a target on record. */
interface Made {
  readonly target: TargetName;
  readonly network: NetworkName;
  /** Another model than the checkpoint that it was made of, as commands name it: a VAE, a ControlNet, a refiner. */
  readonly origin: string | undefined;
  /** LoRAs that were merged into it, as commands name them. */
  readonly loras: readonly Lora[];
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
  const made = madeOf(artifacts, hub);
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
  const beside = [
    made.flatMap(({ origin }) => origin ?? []),
    made.flatMap(({ loras }) => loras.map(({ path }) => path)),
  ];
  return { command, note: placesNote([...(onHub ? [] : [name]), ...beside.flat()]) };
}

/** Where a client's models are converted again. */
interface Place {
  /** The output folder; OUT, which is another one, when left out. */
  readonly output?: string | undefined;
  /** Whether models that are there are to be replaced. */
  readonly replaces: boolean;
  /** Options on record that are not to be taken again. */
  readonly without?: readonly string[];
  /** Options of the command line beside those on record. */
  readonly more?: readonly string[];
}

/**
 * The command that converts for a client, with the options that are on record of its models, as far as it loads what they make.
 * Where no single command line has them, what is there is replaced by what the usual ones make.
 */
export function convertFor(
  client: ClientName,
  record: Provenance | undefined,
  { output, replaces, without = [], more = [] }: Place,
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
    ...more,
    ...predictionOptions(record?.pipeline),
    '-o',
    output ?? 'OUT',
    ...(isForced ? ['--force'] : []),
  ).command;
}

/** `undefined` where no single command line has the options that are on record. */
function optionsFor(
  client: ClientName,
  { artifacts, pipeline, hub }: Provenance,
  without: readonly string[],
): readonly string[] | undefined {
  const { target, takesChunks } = profiles[client];
  const made = madeOf(artifacts, hub).filter((each) => each.target === target);
  if (made.some(({ options }) => isInPlace(options.quantization))) return undefined;
  const left = new Set([...without, ...(takesChunks ? [] : ['maxChunkBytes'])]);
  const taken = made.map(({ options, ...each }) => ({
    ...each,
    options: Object.fromEntries(Object.entries(options).filter(([key]) => !left.has(key))),
  }));
  return wayOf(taken, isXlOf(pipeline));
}

function madeOf(artifacts: Provenance['artifacts'], hub: readonly HubRecord[] = []): Made[] {
  return Object.entries(artifacts).flatMap(([path, { options, source }]): Made[] => {
    const { network } = parsePath(path);
    const target = targetOf(path);
    const variant = variantOf(Object.keys(source));
    const origin = typeof options.origin === 'string' ? pinned(options.origin, hub) : undefined;
    const loras = lorasOf(options.loras).map((each) => ({ ...each, path: pinned(each.path, hub) }));
    return network && 'precision' in options ? [{ target, network, origin, loras, options, variant }] : [];
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

/** Says which models are named without their folders. */
function placesNote(names: readonly string[]): string | null {
  const own = [...new Set(names)].filter((name) => !name.startsWith('hf://'));
  if (own.length === 0) return null;
  return `Put in where ${own.join(', ')} ${own.length === 1 ? 'lies' : 'lie'}.`;
}

/** Options of the command line that all of them were made with; `undefined` where no single command line has them. */
function optionsOf(made: readonly Made[], isXl: boolean): string[] | undefined {
  const targets = [...new Set(made.map(({ target }) => target))];
  const isUsual =
    targets.length === defaultTargets.length && defaultTargets.every((each) => targets.includes(each));
  const way = wayOf(made, isXl);
  const clients = clientsOf(made);
  return (
    way && [
      ...networkOptions(made),
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
  const [attention, vae, precision] = [attentionOf(made), vaeOptions(made), precisionOf(made, isXl)];
  if (attention === undefined || vae === undefined || precision === undefined) return undefined;
  const variants = [...new Set(made.flatMap(({ variant }) => variant ?? []))];
  if (variants.length > 1 || made.some(({ options }) => otherWay(options.quantization))) return undefined;
  const one = (key: string): unknown => [...all(key)].map((value) => JSON.parse(value))[0];
  const deployment = one('deployment');
  return [
    ...option('--variant', variants[0]),
    ...vae,
    ...attention,
    ...option('--precision', precision, 'float16'),
    ...option('--min-deployment-target', deployment, 'macOS13'),
    ...quantizationOptions(one('quantization')),
    ...chunkOptions(one('maxChunkBytes')),
    ...option('--latent-h', one('latentHeight')),
    ...option('--latent-w', one('latentWidth')),
    ...option('--text-token-sequence-length', one('textTokens')),
    ...(one('unetBatch') === 1 ? ['--unet-batch-one'] : []),
    ...loraOptions(made),
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

function networkOptions(made: readonly Made[]): string[] {
  const all = new Set(made.map(({ network }) => networkKind(network)));
  const options = all.has('control-unet') ? ['--unet-support-controlnet'] : [];
  const kinds = new Set<NetworkKind>([...all].map((kind) => (kind === 'control-unet' ? 'unet' : kind)));
  // Beside ControlNets that are named, convert makes only what is named, too.
  const isWhole = usual.every((kind) => kinds.has(kind)) && !kinds.has('controlnet');
  const named = isWhole ? [] : [...kinds].filter((kind) => parts.includes(kind));
  const more = [
    ...(kinds.has('refiner') ? ['--refiner-version', ...originsOf(made, 'refiner')] : []),
    ...(kinds.has('controlnet') ? ['--convert-controlnet', ...originsOf(made, 'controlnet')] : []),
  ];
  return [...named.map((kind) => `--convert-${kind.replaceAll('_', '-')}`), ...options, ...more];
}

/** The models that networks of a kind were made of; a placeholder for one that is not on record. */
function originsOf(made: readonly Made[], kind: NetworkKind): string[] {
  const own = made.filter(({ network }) => networkKind(network) === kind);
  return [...new Set(own.map(({ origin = kind.toUpperCase() }) => origin))];
}

/** The VAE that replaced the checkpoint's own: none, or `undefined` where networks were made of several. */
function vaeOptions(made: readonly Made[]): string[] | undefined {
  const vaes = made.filter(({ network }) => networkKind(network).startsWith('vae'));
  const origins = new Set(vaes.map(({ origin }) => origin));
  return origins.size > 1 ? undefined : option('--custom-vae-version', [...origins][0]);
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

function loraOptions(made: readonly Made[]): string[] {
  const loras = made.map((each) => each.loras).find(({ length }) => length > 0);
  return loras ? ['--lora', ...loras.map(({ path, scale }) => `${path}:${scale}`)] : [];
}

/** LoRAs on record, which may come from anybody. */
function lorasOf(value: unknown): Lora[] {
  return [value]
    .flat()
    .flatMap((each) =>
      isJsonObject(each) ? [{ path: argument(each.name), scale: argument(each.scale) }] : [],
    );
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
