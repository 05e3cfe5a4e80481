import { join } from 'node:path';
import { bundleComfyUi } from '../bundle/comfyui-packages.ts';
import { modelsForClient, requireDrawable } from '../bundle/models-for-client.ts';
import { bundleOnnxForClient } from '../bundle/onnx-client-folder.ts';
import { SCHEDULER_FILE } from '../bundle/profiles/folder-files.ts';
import { guernikaMetadata } from '../bundle/profiles/guernika-metadata.ts';
import type { ClientName } from '../bundle/profiles/profile.ts';
import { profiles, usualClients } from '../bundle/profiles/profiles.ts';
import { bundleSwiftResources } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import { isConversion, readProvenance, recordBundle } from '../formats/provenance.ts';
import { exists, listFolder, whileLocked } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { notFound } from '../io/not-found.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** Models to bundle. */
export interface BundleRequest {
  /** Output folder of a conversion, or any folder of Core ML packages or of ONNX models. */
  readonly folder: string;
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
 * tokenizer, `RequestError` for two models of one network, for those that a client does not load, and while another run
 * writes into the folder of a conversion, and what
 * `bundleSwiftResources` and `bundleOnnxForClient` throw.
 *
 * @example await bundlePackages({ folder: './sd15', clients: ['openvino'] }) // { folder: 'sd15/onnx-openvino', … }
 */
export async function bundlePackages(
  options: BundleOptions,
  context: Context = {},
): Promise<Omit<ClientBundle, 'client'> & { readonly bundles: readonly ClientBundle[] }> {
  checkRequest('bundle', options);
  const request = withDefaults<BundleRequest, typeof bundleDefaults>(bundleDefaults, options);
  const { clients = [usualClients.coreml] } = request;
  if (clients.includes('optimum'))
    throw new RequestError({
      problem: 'optimum loads what convert writes: there is nothing to bundle for it.',
      advice: 'Leave optimum out of --for.',
    });
  const bundleAll = async (): Promise<ClientBundle[]> => {
    const bundles: ClientBundle[] = [];
    for (const client of clients) {
      const { target } = profiles[client];
      const bundle = target === 'onnx' ? bundleOnnx : bundleCoreMl;
      bundles.push(await bundle(client, request, context));
    }
    return bundles;
  };
  const { folder } = request;
  // A record is read, changed and written again.
  const bundles = (await isConversion(folder)) ? await whileLocked(folder, bundleAll) : await bundleAll();
  const [first] = bundles;
  if (!first) throw new RequestError({ problem: 'there is no client to bundle for.' });
  return { folder: first.folder, files: first.files, bundles };
}

async function bundleOnnx(
  client: ClientName,
  { folder: output }: BundleRequest,
  context: Context,
): Promise<ClientBundle> {
  const inside = join(output, profiles.optimum.folder);
  const source = (await exists(inside)) ? inside : output;
  const files = await bundleOnnxForClient({ client, source, output }, context);
  return { client, folder: join(output, profiles[client].folder), files };
}

async function bundleCoreMl(
  client: ClientName,
  { folder, tokenizer: wanted, compiler, clients }: BundleRequest,
  context: Context,
): Promise<ClientBundle> {
  const profile = profiles[client];
  const place = { client, source: folder, output: folder };
  const packages = await modelsForClient(place, context);
  // Unless a client is named, any packages are bundled, such as ControlNets alone.
  if (clients) requireDrawable(place, packages);
  if (packages.length === 0) throw noPackages(folder);
  const into = join(folder, profile.folder);
  if (profile.form) return { client, folder: into, files: await bundleComfyUi(folder, packages, context) };
  if (wanted !== undefined && !(await exists(wanted)))
    throw notFound(wanted, 'Name the folder of a tokenizer.');
  const tokenizer = await filesOf(wanted ?? join(folder, 'onnx', 'tokenizer'));
  const record = await readProvenance(folder);
  const metadata = profile.settingsInMetadata
    ? guernikaMetadata(record?.pipeline?.scheduler ?? (await schedulerIn(folder)))
    : undefined;
  const files = await bundleSwiftResources({ packages, tokenizer, compiler, metadata }, into, context);
  if (record) await recordBundle(folder, profile.folder, files);
  return { client, folder: into, files };
}

/** The scheduler's config in an ONNX folder beside the packages. */
async function schedulerIn(folder: string): Promise<JsonObject | undefined> {
  const path = join(folder, profiles.optimum.folder, SCHEDULER_FILE);
  return (await exists(path)) ? readJsonObject(path) : undefined;
}

function noPackages(folder: string): NotFoundError {
  return new NotFoundError({
    problem: `${folder} contains no Core ML packages of Stable Diffusion.`,
    advice: 'Name the output folder of a conversion with --target coreml.',
  });
}

async function filesOf(folder: string): Promise<string[]> {
  return (await exists(folder)) ? (await listFolder(folder)).map((name) => join(folder, name)) : [];
}
