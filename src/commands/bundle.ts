import { join } from 'node:path';
import { bundleComfyUi } from '../bundle/comfyui-packages.ts';
import { type ClientFolder, modelsForClient, requireDrawable } from '../bundle/models-for-client.ts';
import { bundleOnnxForClient } from '../bundle/onnx-client-folder.ts';
import { SCHEDULER_FILE } from '../bundle/profiles/folder-files.ts';
import { guernikaMetadata } from '../bundle/profiles/guernika-metadata.ts';
import { type ClientName, clientNames } from '../bundle/profiles/profile.ts';
import { isWhatConvertWrites, profiles, usualClients } from '../bundle/profiles/profiles.ts';
import { bundleSwiftResources } from '../bundle/swift-resources.ts';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import { isConversion, readProvenance, recordBundle, whileConversionLocked } from '../formats/provenance.ts';
import { exists, listFolder } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { notFound } from '../io/not-found.ts';
import { isSamePlace } from '../io/real-place.ts';
import { modelsIn } from '../run/find-models.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** Models to bundle. */
export interface BundleRequest extends FromHub {
  /** Output folder of a conversion, any folder of Core ML packages or of ONNX models, or a repository of them on the Hub. */
  readonly folder: string;
  /** Folder in which the clients' folders are made: `folder` when left out. Models on the Hub need one. */
  readonly output?: string | undefined;
  /** Core ML: folder with `vocab.json` and `merges.txt`; `onnx/tokenizer` next to the packages when left out. */
  readonly tokenizer?: string | undefined;
  readonly compiler: Compiler;
  /** Clients to bundle for; `swift` when left out. */
  readonly clients?: readonly ClientName[] | undefined;
}

/** What was made for a client. */
export interface ClientBundle {
  readonly client: ClientName;
  readonly folder: string;
  readonly files: readonly WrittenFile[];
}

/** Defaults of `bundlePackages`. */
export const bundleDefaults = { compiler: 'own' } as const satisfies Partial<BundleRequest>;

/** Options of `bundlePackages`; only `folder` is required. */
export type BundleOptions = OptionsOf<BundleRequest, typeof bundleDefaults>;

/**
 * Makes the folders that clients load, from the packages or the ONNX models in a folder. `folder` and `files` are those of the
 * first client. Throws `NotFoundError` when there are no models, one that a named client needs is missing, or there is no such
 * tokenizer, `RequestError` for two models of one network, for those that a client does not load, for the output of another
 * conversion, and while another run writes into the folder of a conversion, and what `resolveModel`, `bundleSwiftResources`
 * and `bundleOnnxForClient` throw.
 *
 * @example await bundlePackages({ folder: './sd15', clients: ['openvino'] }) // { folder: 'sd15/onnx-openvino', … }
 */
export async function bundlePackages(
  options: BundleOptions,
  context: Context = {},
): Promise<Omit<ClientBundle, 'client'> & { readonly bundles: readonly ClientBundle[] }> {
  checkRequest('bundle', options);
  const given = withDefaults<BundleRequest, typeof bundleDefaults>(bundleDefaults, options);
  const { clients = [usualClients.coreml] } = given;
  const complete = clients.find(isWhatConvertWrites);
  if (complete)
    throw new RequestError({
      problem: `${complete} loads what convert writes: there is nothing to bundle for it.`,
      advice: `Leave ${complete} out of --for.`,
    });
  if (given.output === undefined) await refuseInCache(given.folder);
  else await refuseOtherConversion(given.output, given);
  const request = await locateRequested(given, { folder: purposeOf(clients) }, context);
  const { folder } = request;
  if (!(await exists(folder))) throw notFound(folder, 'Name the output folder of a conversion.');

  const isElsewhere = given.output !== undefined && !(await isSamePlace(given.output, folder));
  const output = isElsewhere ? given.output : folder;
  const bundleAll = async (): Promise<ClientBundle[]> => {
    const bundles: ClientBundle[] = [];
    for (const client of clients) {
      const { target } = profiles[client];
      const bundle = target === 'onnx' ? bundleOnnx : bundleCoreMl;
      bundles.push(await bundle({ client, source: folder, output }, request, context));
    }
    return bundles;
  };
  const bundles = await inStage('bundle', context, async () => {
    const made = await whileConversionLocked(output, () => whileOutputsStay([folder], bundleAll));
    return { output: made, detail: made.map((each) => each.folder).join(', ') };
  });
  const [first] = bundles;
  if (!first) throw new RequestError({ problem: 'there is no client to bundle for.' });
  return { folder: first.folder, files: first.files, bundles };
}

/** What of a repository is needed for clients. */
function purposeOf(clients: readonly ClientName[]): 'onnx' | 'packages' | 'models' {
  const [target, ...others] = new Set(clients.map((client) => profiles[client].target));
  if (others.length > 0) return 'models';
  return target === 'onnx' ? 'onnx' : 'packages';
}

/** Models of two checkpoints in one folder would be loaded as one. */
async function refuseOtherConversion(output: string, { folder }: BundleRequest): Promise<void> {
  if ((await isSamePlace(output, folder)) || !(await isConversion(output))) return;
  throw new RequestError({
    problem: `${output} holds another conversion than ${folder}: a client would load both as one.`,
    advice: 'Name a folder of its own with -o.',
  });
}

async function bundleOnnx(
  { client, source: folder, output }: ClientFolder,
  _: BundleRequest,
  context: Context,
): Promise<ClientBundle> {
  const inside = join(folder, profiles.optimum.folder);
  const source = (await exists(inside)) ? inside : folder;
  const files = await bundleOnnxForClient({ client, source, output }, context);
  return { client, folder: join(output, profiles[client].folder), files };
}

async function bundleCoreMl(
  place: ClientFolder,
  { tokenizer: wanted, compiler, clients }: BundleRequest,
  context: Context,
): Promise<ClientBundle> {
  const { client, source, output } = place;
  const profile = profiles[client];
  const packages = await modelsForClient(place, context);
  // Unless a client is named, any packages are bundled, such as ControlNets alone.
  if (clients) await requireDrawable(place, packages);
  if (packages.length === 0) throw await noPackages(source);
  await noteUnlikeRecord(
    packages.map(({ path }) => path),
    context,
  );
  const into = join(output, profile.folder);
  if (profile.form) return { client, folder: into, files: await bundleComfyUi(place, packages, context) };
  if (wanted !== undefined && !(await exists(wanted)))
    throw notFound(wanted, 'Name the folder of a tokenizer.');
  const tokenizer = await filesOf(wanted ?? join(source, 'onnx', 'tokenizer'));
  const metadata = profile.settingsInMetadata
    ? guernikaMetadata((await readProvenance(source))?.pipeline?.scheduler ?? (await schedulerIn(source)))
    : undefined;
  const { outputNames } = profile;
  const resources = { packages, tokenizer, compiler, metadata, outputNames };
  const files = await bundleSwiftResources(resources, into, context);
  if (await isConversion(output)) await recordBundle(output, profile.folder, files);
  return { client, folder: into, files };
}

/** The scheduler's config in an ONNX folder beside the packages. */
async function schedulerIn(folder: string): Promise<JsonObject | undefined> {
  const path = join(folder, profiles.optimum.folder, SCHEDULER_FILE);
  return (await exists(path)) ? readJsonObject(path) : undefined;
}

/** Where all that there is needs no bundling, that is said. */
async function noPackages(folder: string): Promise<NotFoundError> {
  const complete: string[] = [];
  for (const client of clientNames.filter(isWhatConvertWrites)) {
    const place = join(folder, profiles[client].folder);
    if ((await modelsIn(place)).length > 0)
      complete.push(`${place} is complete: ${client} loads it as it is.`);
  }
  return new NotFoundError({
    problem: `${folder} contains no Core ML packages of Stable Diffusion.`,
    advice: [...complete, 'Name the output folder of a conversion with --target coreml.'].join(' '),
  });
}

async function filesOf(folder: string): Promise<string[]> {
  return (await exists(folder)) ? (await listFolder(folder)).map((name) => join(folder, name)) : [];
}
