import { basename, dirname, join } from 'node:path';
import type { Context } from '../context.ts';
import { networkKind } from '../convert/networks/networks.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { type ArtifactId, nameOf, parseName } from '../formats/artifact-id.ts';
import { intactRecordOf } from '../formats/kept.ts';
import { placeEdited } from '../formats/onnx/onnx-folder.ts';
import { readProvenance, recordBundle, updateProvenance } from '../formats/provenance.ts';
import { exists } from '../io/disk.ts';
import { filesIn } from '../io/file-sizes.ts';
import { copyForClient } from './copy-for-client.ts';
import { linkFlatNames } from './flat-names.ts';
import { type ClientFolder, modelsForClient, requireDrawable } from './models-for-client.ts';
import { fileForClient, replacedScheduler, SCHEDULER_FILE, schedulerNote } from './profiles/folder-files.ts';
import { profiles } from './profiles/profiles.ts';

/**
 * Makes a client's folder of an ONNX folder, ours or anybody's. Throws as `modelsForClient`,
 * `requireDrawable` and `copyForClient` do.
 */
export async function bundleOnnxForClient(
  { client, source, output }: ClientFolder,
  context: Context = {},
): Promise<WrittenFile[]> {
  const profile = profiles[client];
  const { form, folder } = profile;
  if (!form) return [];
  const models = await modelsForClient({ client, source, output }, context);
  await requireDrawable({ client, source, output }, models);
  const record = (await readProvenance(output))?.artifacts;
  const artifacts: { readonly id: ArtifactId; readonly files: readonly WrittenFile[] }[] = [];
  for (const { id, path } of models) {
    const place = { output: dirname(source), path: `${basename(source)}/${basename(path)}` };
    const own = record && (await intactRecordOf(place, context));
    const to = join(folder, nameOf(id));
    const copy = {
      ...{ from: path, folder: path, kind: networkKind(id.network), record: own, canLink: true },
      async complete(growing: string) {
        const name = `${nameOf(id)}/${CONFIG}`;
        if (!(await exists(join(path, CONFIG)))) return;
        await placeEdited(join(path, CONFIG), join(growing, CONFIG), (json) =>
          fileForClient(profile, name, json),
        );
      },
    };
    const files = await copyForClient(
      { ...copy, to: join(output, to), isRecorded: record !== undefined },
      form,
      context,
    );
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

/** Of a model, in its folder. */
const CONFIG = 'config.json';

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
  return network ? basename(name) === CONFIG : /\.(json|txt|model)$/.test(name);
}
