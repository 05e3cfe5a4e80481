import { basename, dirname, join } from 'node:path';
import { networkKind } from '../convert/networks/networks.ts';
import { SdConvertError } from '../errors.ts';
import { writtenFormats } from '../formats/format.ts';
import { withArtifact } from '../formats/open.ts';
import { readProvenance } from '../formats/provenance.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { exists, pathKind } from '../io/disk.ts';
import type { HashOptions } from '../io/hashing/hash-stream.ts';
import { type FoundModel, modelsIn } from '../run/find-models.ts';
import { areOfXl } from '../run/xl-models.ts';
import { bundlers } from './bundlers.ts';
import { convertFor } from './command-again.ts';
import { networksNeeded } from './models-for-client.ts';
import { olderSystem } from './profiles/check-core-ml-folder.ts';
import { checkIrFolder, isIrFolder } from './profiles/check-ir-folder.ts';
import type { ClientName } from './profiles/profile.ts';
import { isWhatConvertWrites, profiles, usualClients } from './profiles/profiles.ts';

/** What a client would say to a folder. */
export interface ClientCheck {
  readonly client: ClientName;
  /** The folder that it would load. */
  readonly folder: string;
  /** What it would refuse, a sentence each; empty if nothing. */
  readonly problems: readonly string[];
  /** The command that mends them; absent where none does. */
  readonly mend?: string | undefined;
}

/** Where the models are. */
interface Shown extends Pick<HashOptions, 'signal'> {
  /** The name of models that are shown from the Hub: of their weights nothing is read. */
  readonly hub?: string | undefined;
  /** Whether the weights of assets that have a hash of their own over them are read; they are when left out. */
  readonly hashes?: boolean | undefined;
}

/**
 * Holds a folder, ours or anybody's, against what a client reads. In an output folder that is the client's own folder, or else
 * the one of its target; any other folder is taken as it is. Weights are read only where a format has a
 * hash of its own over them. Throws what reading throws.
 */
export async function checkClient(
  client: ClientName,
  path: string,
  { hub, hashes = true, signal }: Shown = {},
): Promise<ClientCheck> {
  const profile = profiles[client];
  const folder = await folderFor(client, path);
  const isIr = client === 'openvino' && (await isIrFolder(folder));
  const check = isIr ? checkIrFolder : bundlers[profile.target].check;
  const problems = await check(client, profile, folder, { hashes: hashes && hub === undefined, signal });
  if (problems.length === 0) return { client, folder, problems };
  const mend = isIr ? irAgain : await mending(client, path, problems, hub);
  return { client, folder, problems, mend };
}

/** IR is made of ONNX. */
const irAgain =
  'sdconvert convert --model-version CHECKPOINT --for openvino -o OUT, and make the IR of OUT/onnx-openvino';

async function folderFor(client: ClientName, path: string): Promise<string> {
  const { folder, target } = profiles[client];
  for (const name of [folder, profiles[usualClients[target]].folder])
    if ((await pathKind(join(path, name))) === 'folder') return join(path, name);
  return path;
}

/** Another form of models that are there is bundled; what is not there, or is wrong in itself, is converted. */
async function mending(
  client: ClientName,
  path: string,
  problems: readonly string[],
  hub: string | undefined,
): Promise<string | undefined> {
  const { target, networks, takesChunks } = profiles[client];
  const output = outputOf(client, path);
  const inside = join(output, profiles[usualClients[target]].folder);
  const base = target === 'onnx' && (await exists(inside)) ? inside : output;
  const format = writtenFormats[target];
  const models = (await modelsIn(base)).filter(
    ({ format: own, isInChunks, network }) =>
      own === format && (takesChunks || !isInChunks) && network && networks.includes(networkKind(network)),
  );
  // No conversion gives a client a second text encoder.
  if (!networks.includes('text_encoder_2') && (await areOfXl(models))) return undefined;
  const needed = await networksNeeded(client, models);
  const hasAll = needed.every((wanted) => models.some(({ network }) => network === wanted));
  const isTooNew = problems.some((problem) => problem.includes(olderSystem));
  if (hasAll && !isTooNew && !isWhatConvertWrites(client) && (await areWhole(models)))
    return hub === undefined
      ? nextCommand('bundle', output, '--for', client).command
      : nextCommand('bundle', hub, '--for', client, '-o', 'OUT').command;
  const record = await readProvenance(output);
  const { mend = () => ({ without: [], more: [] }) } = bundlers[target];
  const way = mend(problems, record);
  if (!way) return undefined;
  return convertFor(client, record, {
    // Into a folder that is no conversion, nothing is converted.
    output: hub === undefined && record ? output : undefined,
    replaces: problems.some((problem) => !isBeside.test(problem)),
    without: [...way.without, ...(isTooNew ? ['deployment'] : [])],
    more: way.more,
  });
}

/** What is said of the files beside models, which every conversion writes anew. */
const isBeside = /^((metadata|model_index|vocab)\.json|merges\.txt|(scheduler|tokenizer(_2)?)\/)/;

/** Whether nothing is missing of models: what is made of them would lack it, too. */
async function areWhole(models: readonly FoundModel[]): Promise<boolean> {
  try {
    for (const path of models.flatMap(({ paths }) => paths))
      if ((await withArtifact(path, (artifact) => artifact.facts())).problems.length > 0) return false;
    return true;
  } catch (error) {
    if (error instanceof SdConvertError) return false;
    throw error;
  }
}

/** The output folder of a path, which may be the folder in it that the client loads. */
function outputOf(client: ClientName, path: string): string {
  const { folder, target } = profiles[client];
  const isInside = [folder, profiles[usualClients[target]].folder].includes(basename(path));
  return isInside ? dirname(path) : path;
}
