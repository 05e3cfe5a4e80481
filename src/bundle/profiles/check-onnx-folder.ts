import { join } from 'node:path';
import { type NetworkKind, networkKinds } from '../../convert/networks/networks.ts';
import { SdConvertError } from '../../errors.ts';
import type { ArtifactFacts, DeclaredValue } from '../../formats/artifact.ts';
import type { Port } from '../../formats/client-form.ts';
import { fits, type Side, wantedPort } from '../../formats/onnx/edges/wanted-port.ts';
import { readOnnxFacts } from '../../formats/onnx/read-onnx-facts.ts';
import { pathKind } from '../../io/disk.ts';
import { asName } from '../../io/error-text.ts';
import { isJsonObject, type JsonObject } from '../../io/json/python-json.ts';
import { readStrictJson, whyNotStrict } from '../../io/json/strict-json.ts';
import { formatBytes } from '../../text.ts';
import { dtypeName, dtypes } from '../../weights/dtype.ts';
import { replacedScheduler, SCHEDULER_FILE } from './folder-files.ts';
import { edgesOf } from './onnx-profiles.ts';
import type { ClientName, Profile } from './profile.ts';

/** Inputs and outputs without which no client can use a network. */
const essential: { readonly [K in NetworkKind]?: { readonly inputs: string[]; readonly outputs: string[] } } =
  {
    text_encoder: { inputs: ['input_ids'], outputs: ['last_hidden_state'] },
    text_encoder_2: { inputs: ['input_ids'], outputs: ['text_embeds'] },
    unet: { inputs: ['sample', 'timestep', 'encoder_hidden_states'], outputs: ['out_sample'] },
    vae_decoder: { inputs: ['latent_sample'], outputs: ['sample'] },
    vae_encoder: { inputs: ['sample'], outputs: [] },
  };

/** Largest model in one file. */
const ONE_FILE_BYTES = 2 ** 31;

/** Everything that a client would refuse in a folder of ONNX models, a sentence each. Reads no weights. */
export async function checkOnnxFolder(
  client: ClientName,
  profile: Profile,
  folder: string,
): Promise<string[]> {
  const found: string[] = [];
  const models = new Map<NetworkKind, Edges>();
  for (const network of networkKinds.filter((each) => profile.networks.includes(each))) {
    const path = join(folder, fileOf(profile, network));
    if ((await pathKind(path)) !== 'file') {
      if (profile.required.includes(network)) found.push(await missing(client, profile, folder, network));
      continue;
    }
    try {
      const facts = await readOnnxFacts(path);
      models.set(network, facts);
      found.push(...checkModel(client, profile, network, facts));
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      found.push(error.problem);
    }
  }
  const isXl = models.get('unet')?.inputs.some(({ name }) => name === 'text_embeds') === true;
  if (!isXl) return [...found, ...(await checkFiles(client, profile, folder))];
  found.push(...(await checkXl(client, profile, folder, models)));
  return [...found, ...(await checkFiles(client, withSecondTokenizer(profile), folder))];
}

/** The file of a network, relative to the folder, as a client asks for it. */
function fileOf({ flatNames }: Profile, network: NetworkKind): string {
  return flatNames?.[network] ?? `${network}/model.onnx`;
}

async function missing(
  client: ClientName,
  profile: Profile,
  folder: string,
  network: NetworkKind,
): Promise<string> {
  const isInChunks = (await pathKind(join(folder, `${network}_chunk1`))) !== undefined;
  return isInChunks
    ? `${network} is in chunks, and ${client} loads it whole.`
    : `${fileOf(profile, network)} is missing.`;
}

/** What Stable Diffusion XL needs beside: a second text encoder, and of both the states before their last layer. */
async function checkXl(
  client: ClientName,
  profile: Profile,
  folder: string,
  models: ReadonlyMap<NetworkKind, Edges>,
): Promise<string[]> {
  if (!profile.networks.includes('text_encoder_2'))
    return [`unet is of Stable Diffusion XL, and ${client} has no second text encoder.`];
  const second = fileOf(profile, 'text_encoder_2');
  if ((await pathKind(join(folder, second))) !== 'file')
    return [`${second} is missing, which the UNet of Stable Diffusion XL needs.`];
  return (['text_encoder', 'text_encoder_2'] as const)
    .filter((encoder) => models.get(encoder)?.outputs.every(({ name }) => !/^hidden_states\.\d+$/.test(name)))
    .map(
      (encoder) =>
        `${encoder} has no outputs hidden_states.0, hidden_states.1, …, of which Stable Diffusion XL reads the last but one.`,
    );
}

/** A client that reads a tokenizer reads two of Stable Diffusion XL. */
function withSecondTokenizer(profile: Profile): Profile {
  const second = profile.files.filter((name) => name.startsWith('tokenizer/'));
  const files = [...profile.files, ...second.map((name) => name.replace('tokenizer/', 'tokenizer_2/'))];
  return { ...profile, files };
}

/** What of a model's facts is held against a client's edges. */
type Edges = Pick<ArtifactFacts<'onnx'>, 'inputs' | 'outputs' | 'files' | 'problems'>;

/** What a client would refuse in a model. */
export function checkModel(
  client: ClientName,
  profile: Profile,
  network: NetworkKind,
  facts: Edges,
): string[] {
  const { inputs = [], outputs = [] } = essential[network] ?? {};
  const absent = (side: Side, names: readonly string[]) =>
    names
      .filter((name) => !facts[side].some((value) => value.name === name))
      .map((name) => `${network} has no ${side.slice(0, -1)} ${name}.`);
  const edges = edgesOf(profile);
  const [, ...data] = facts.files;
  const bytes = facts.files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return [
    ...facts.problems.map((problem) => `${network}: ${problem}`),
    ...absent('inputs', inputs),
    ...absent('outputs', outputs),
    ...(['inputs', 'outputs'] as const).flatMap((side) =>
      facts[side].flatMap((value) => checkPort(client, profile, network, side, value)),
    ),
    ...(edges.data === null && data.length > 0
      ? [`${network} has its weights in ${data[0]?.name}, and ${client} loads one file.`]
      : []),
    ...(edges.data === null && bytes >= ONE_FILE_BYTES
      ? [`${network} has ${formatBytes(bytes)}, and ${client} loads one file, of less than 2.1 GB.`]
      : []),
  ];
}

function checkPort(
  client: ClientName,
  profile: Profile,
  network: NetworkKind,
  side: Side,
  value: DeclaredValue,
): string[] {
  const dtype = dtypes.find((each) => dtypeName(each) === value.dtype);
  if (!dtype || !value.shape) return [];
  const port: Port = { name: value.name, dtype, shape: value.shape };
  const wanted = wantedPort(edgesOf(profile), network, side, port);
  if (!wanted) return [];
  const isFree = port.shape.some(
    (size, axis) => typeof size === 'string' && typeof wanted.shape[axis] === 'number',
  );
  const isRight =
    wanted.name === port.name &&
    wanted.dtype === dtype &&
    fits(port.shape, wanted.shape) &&
    (!isFree || port.name === 'timestep');
  return isRight ? [] : [`${network}: ${show(port)}, and ${client} takes ${show(wanted)}.`];
}

function show({ name, dtype, shape }: Port): string {
  return `${name} ${dtypeName(dtype)} [${shape.join(', ')}]`;
}

/** Checks the files beside the models: that they are there, are strict JSON, and name what the client has. */
export async function checkFiles(client: ClientName, profile: Profile, folder: string): Promise<string[]> {
  const found: string[] = [];
  const wanted = [...profile.files];
  const hasConfigs = profile.files.includes('model_index.json');
  for (const network of profile.required) if (hasConfigs) wanted.push(`${network}/config.json`);
  for (const name of wanted) {
    if ((await pathKind(join(folder, name))) !== 'file') {
      found.push(`${name} is missing.`);
      continue;
    }
    if (!name.endsWith('.json')) continue;
    const json = await readStrictJson(join(folder, name));
    if (json === undefined)
      found.push(`${name} is ${await whyNotStrict(join(folder, name))}, and ${client} refuses it.`);
    else found.push(...checkJson(client, profile, name, json));
  }
  return found;
}

function checkJson(client: ClientName, profile: Profile, name: string, json: unknown): string[] {
  if (!isJsonObject(json)) return [`${name} holds no JSON object, and ${client} reads one.`];
  const { _class_name: own } = json;
  const { pipelines, schedulers, components = {} } = profile;
  if (name === SCHEDULER_FILE) {
    if (schedulers && typeof own !== 'string') return [`${name} names no scheduler (_class_name).`];
    const replaced = replacedScheduler(profile, json);
    return replaced ? [`${name} names ${replaced.from}, which ${client} has not.`] : [];
  }
  if (name !== 'model_index.json') return [];
  return [
    ...(pipelines && !pipelines.some((each) => each === own)
      ? [
          `${name} names ${own === undefined ? 'no pipeline' : asName(own)}, and ${client} takes ${pipelines.join(', ')}.`,
        ]
      : []),
    ...Object.entries(components).flatMap(([key, [, className]]) => checkComponent(json, key, className)),
  ];
}

function checkComponent(json: JsonObject, key: string, className: string): string[] {
  const entry = json[key];
  const named = Array.isArray(entry) && typeof entry[1] === 'string' ? entry[1] : undefined;
  // Only Stable Diffusion XL has it, whose models are checked.
  if (named === className || (named === undefined && key === 'text_encoder_2')) return [];
  return [`model_index.json names ${named ?? 'nothing'} for ${key} instead of ${className}.`];
}
