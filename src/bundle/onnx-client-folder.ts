import { basename, dirname, join } from 'node:path';
import type { Context } from '../context.ts';
import { networkKind } from '../convert/networks/networks.ts';
import { NotFoundError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { type ArtifactId, nameOf, parseName } from '../formats/artifact-id.ts';
import { placeEdited } from '../formats/onnx/onnx-folder.ts';
import { readProvenance, recordBundle, updateProvenance } from '../formats/provenance.ts';
import { filesIn } from '../io/file-sizes.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';
import { copyForClient } from './copy-for-client.ts';
import { linkFlatNames } from './flat-names.ts';
import { fileForClient, replacedScheduler, SCHEDULER_FILE, schedulerNote } from './profiles/folder-files.ts';
import type { ClientName } from './profiles/profile.ts';
import { profiles } from './profiles/profiles.ts';

/** Where an ONNX folder for a client comes from and goes to. */
export interface ClientFolder {
  readonly client: ClientName;
  /** A folder of ONNX models, as optimum loads it. */
  readonly source: string;
  /** The client’s folder is made in here; its `sdconvert.json` is kept, if it has one. */
  readonly output: string;
}

/**
 * Makes a client's folder of an ONNX folder, ours or anybody's. Throws `NotFoundError` where it lacks a network that the client
 * needs, and as `copyForClient` does.
 */
export async function bundleOnnxForClient(
  { client, source, output }: ClientFolder,
  context: Context = {},
): Promise<WrittenFile[]> {
  const profile = profiles[client];
  const { form, folder } = profile;
  if (!form) return [];
  const models = (await modelsIn(source)).filter(
    ({ format, network }) => format === 'onnx' && network && profile.networks.includes(networkKind(network)),
  );
  for (const wanted of profile.required)
    if (!models.some(({ network }) => network && networkKind(network) === wanted))
      throw lacks(client, source, wanted);
  const record = (await readProvenance(output))?.artifacts;
  const artifacts: { readonly id: ArtifactId; readonly files: readonly WrittenFile[] }[] = [];
  for (const { id, path } of models.flatMap(artifactsOf)) {
    const own = record?.[`${basename(source)}/${basename(path)}`];
    const to = join(folder, nameOf(id));
    const copy = { from: path, folder: path, kind: networkKind(id.network), record: own, canLink: true };
    const files = await copyForClient({ ...copy, to: join(output, to) }, form, context);
    artifacts.push({ id, files });
    if (!record) continue;
    // As a conversion for this client would record it.
    const { version: _, ...made } = own ?? { version: '', source: {}, options: {}, files: [] };
    const written = { [to]: { ...made, options: { ...made.options, client }, files } };
    await updateProvenance(output, { written });
  }
  const beside = await copyBeside({ client, source, output }, context);
  const flat = await linkFlatNames(profile, join(output, folder), artifacts);
  if (record) await recordBundle(output, folder, [...beside, ...flat]);
  const copied = artifacts.flatMap(({ id, files }) =>
    files.map((file) => ({ ...file, name: `${nameOf(id)}/${file.name}` })),
  );
  return [...copied, ...beside, ...flat];
}

function artifactsOf({ network, paths }: ModelInFolder): { id: ArtifactId; path: string }[] {
  if (network === undefined) return [];
  return paths.map((path) => ({ id: { network, chunk: parseName(basename(path)).chunk }, path }));
}

/** Copies configs, tokenizers and the scheduler, changed as the client wants them. */
async function copyBeside(
  { client, source, output }: ClientFolder,
  { onProgress }: Context,
): Promise<WrittenFile[]> {
  const profile = profiles[client];
  const written: WrittenFile[] = [];
  for (const { name } of await filesIn(source)) {
    if (!isBeside(name, profile.networks)) continue;
    const hashed = await placeEdited(join(source, name), join(output, profile.folder, name), (json) => {
      const replaced = name === SCHEDULER_FILE && replacedScheduler(profile, json);
      if (replaced) onProgress?.({ type: 'note', message: schedulerNote(client, replaced) });
      return fileForClient(profile, name, json);
    });
    written.push({ name, ...hashed });
  }
  return written;
}

/** Whether a file of an ONNX folder is no model, and not that of a network which the client does not load. */
function isBeside(name: string, networks: readonly string[]): boolean {
  if (name.startsWith('.') || name.startsWith('onnx-')) return false;
  const { network } = parseName(dirname(name));
  if (network && !networks.includes(networkKind(network))) return false;
  return network ? basename(name) === 'config.json' : /\.(json|txt|model)$/.test(name);
}

function lacks(client: ClientName, source: string, network: string): NotFoundError {
  return new NotFoundError({
    problem: `${source} has no ${network}, without which ${client} cannot draw.`,
    advice: `Convert the checkpoint again: sdconvert convert --model-version CHECKPOINT --for optimum,${client} -o ${dirname(source)}`,
  });
}
