import type { Context } from '../context.ts';
import { type NetworkKind, networkKind } from '../convert/networks/networks.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { type ArtifactId, parsePath, wholePath } from '../formats/artifact-id.ts';
import { writtenFormats } from '../formats/format.ts';
import { withArtifact } from '../formats/open.ts';
import { readProvenance } from '../formats/provenance.ts';
import { type Chunk, checkChunks } from '../run/check-chunks.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';
import { areOfXl } from '../run/xl-models.ts';
import { convertFor } from './command-again.ts';
import type { ClientName } from './profiles/profile.ts';
import { profiles } from './profiles/profiles.ts';
import { refuseUnserved } from './profiles/refusals.ts';
import { bundleFolder } from './swift-resources.ts';

/** Where a client’s folder comes from and goes to. */
export interface ClientFolder {
  readonly client: ClientName;
  /** The folder that holds the models. */
  readonly source: string;
  /** The client’s folder is made in here; its `sdconvert.json` is kept, if it has one. */
  readonly output: string;
}

/** An artifact that a client loads. */
export interface ClientModel {
  readonly id: ArtifactId;
  readonly path: string;
}

/**
 * The models of a folder that a client loads, each network once: by their names, or else by their inputs and outputs. A note
 * names what is left out. Throws `RequestError` for two models of one network, for chunks where the
 * client loads whole models, and for Stable Diffusion XL where it cannot draw with it, `FileFormatError` for chunks that make no model.
 */
export async function modelsForClient(
  { client, source }: ClientFolder,
  { onProgress }: Context,
): Promise<ClientModel[]> {
  const { target, networks, takesChunks } = profiles[client];
  const format = writtenFormats[target];
  const leaveOut = (path: string, why: string) =>
    onProgress?.({ type: 'note', message: `${path} is left out: ${why}.` });
  const models = (await modelsIn(source)).filter((model) => model.format === format);
  refuseUnserved([client], { name: source, isXl: await areOfXl(models) });
  const whole = new Set(models.flatMap(({ isInChunks, network }) => (isInChunks ? [] : network)));
  const chosen = new Map<string, ModelInFolder>();
  // Names go before content: what is called otherwise may be somebody's copy.
  for (const model of models.toSorted((a, b) => Number(b.isNamed) - Number(a.isNamed))) {
    const { network, isInChunks, paths } = model;
    const [path = ''] = paths;
    if (network === undefined) {
      leaveOut(path, 'neither its name nor its inputs are those of a network of Stable Diffusion');
      continue;
    }
    if (!networks.includes(networkKind(network))) continue;
    if (isInChunks && !takesChunks) {
      if (!whole.has(network)) throw onlyInChunks(client, source, network);
      leaveOut(path, `${client} loads the whole ${network}`);
      continue;
    }
    const name = target === 'onnx' ? network : bundleFolder({ id: { network }, path: wholePath(path) });
    // A whole network may lie beside its chunks.
    const form = `${name}, ${isInChunks ? 'in chunks' : 'whole'}`;
    const other = chosen.get(form);
    if (other?.isNamed === model.isNamed) throw twoOfOne(source, other, model);
    if (other) leaveOut(path, `${other.paths[0]} is the ${network} by its name`);
    else chosen.set(form, model);
  }
  for (const { isInChunks, paths } of chosen.values()) if (isInChunks) await refuseOddChunks(paths);
  return [...chosen.values()].flatMap(({ network, paths }) =>
    paths.flatMap((path) => (network ? { id: { network, chunk: parsePath(path).chunk }, path } : [])),
  );
}

/** Throws `FileFormatError` for chunks that do not make a model: a client would load them as one. */
async function refuseOddChunks(paths: readonly string[]): Promise<void> {
  const chunks: Chunk[] = [];
  for (const path of paths)
    chunks.push({ path, ...(await withArtifact(path, (artifact) => artifact.facts())) });
  checkChunks(chunks);
}

/** What Apple’s pipeline draws with in the place of another network: with ControlNets, and of a refiner. */
const standIns: { readonly [K in NetworkKind]?: NetworkKind } = {
  unet: 'control-unet',
  text_encoder: 'text_encoder_2',
};

/** Throws `NotFoundError` where models lack one that a client needs. */
export async function requireDrawable(
  { client, source, output }: ClientFolder,
  models: readonly ClientModel[],
): Promise<void> {
  const { target, networks } = profiles[client];
  const kinds = new Set(models.map(({ id }) => networkKind(id.network)));
  const named = models.map(({ id, path }) => ({ network: id.network, paths: [path] }));
  for (const wanted of await networksNeeded(client, named)) {
    const standIn = target === 'coreml' ? standIns[wanted] : undefined;
    if (kinds.has(wanted) || (standIn && networks.includes(standIn) && kinds.has(standIn))) continue;
    const record = await readProvenance(output);
    const command = convertFor(client, record, { output: record && output, replaces: false });
    throw new NotFoundError({
      problem: `${source} has no ${wanted}, without which ${client} cannot draw.`,
      advice: `Convert the checkpoint again: ${command}`,
    });
  }
}

/** The networks without which a client cannot draw with models: of Stable Diffusion XL both text encoders, if it needs one. */
export async function networksNeeded(
  client: ClientName,
  models: readonly Pick<ModelInFolder, 'network' | 'paths'>[],
): Promise<readonly NetworkKind[]> {
  const { required } = profiles[client];
  const needsText = required.some((network) => network === 'text_encoder');
  return needsText && (await areOfXl(models)) ? [...required, 'text_encoder_2'] : required;
}

function onlyInChunks(client: ClientName, source: string, network: string): RequestError {
  return new RequestError({
    problem: `${source} has its ${network} in chunks, and ${client} loads it whole.`,
    advice: `Convert it again with --for ${client}, without --chunk-unet.`,
  });
}

function twoOfOne(folder: string, one: ModelInFolder, other: ModelInFolder): RequestError {
  const what = one.format === 'onnx' ? 'models' : 'packages';
  return new RequestError({
    problem: `${folder} has two ${what} of one network: ${one.name}.`,
    details: { found: `${one.paths[0]}, ${other.paths[0]}` },
    advice:
      'Move one of them away, or let their names end in what they are (_unet, _refiner, _text_encoder, _text_encoder_2, …).',
  });
}
