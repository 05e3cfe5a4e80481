import { basename, dirname, join } from 'node:path';
import { readProvenance } from '../formats/provenance.ts';
import { exists, pathKind } from '../io/disk.ts';
import { modelsIn } from '../run/find-models.ts';
import { checkCoreMlFolder, olderSystem } from './profiles/check-core-ml-folder.ts';
import { checkOnnxFolder } from './profiles/check-onnx-folder.ts';
import type { ClientName } from './profiles/profile.ts';
import { profiles, usualClients } from './profiles/profiles.ts';

/** What a client would say to a folder. */
export interface ClientCheck {
  readonly client: ClientName;
  /** The folder that it would load. */
  readonly folder: string;
  /** What it would refuse, a sentence each; empty if nothing. */
  readonly problems: readonly string[];
  /** The command that mends them. */
  readonly mend?: string | undefined;
}

/**
 * Holds a folder, ours or anybody's, against what a client reads. In an output folder that is the client's own folder, or else
 * the one of its target; any other folder is taken as it is. Weights are not read. Throws what reading throws.
 */
export async function checkClient(client: ClientName, path: string): Promise<ClientCheck> {
  const profile = profiles[client];
  const folder = await folderFor(client, path);
  const check = profile.target === 'onnx' ? checkOnnxFolder : checkCoreMlFolder;
  const problems = await check(client, profile, folder);
  return {
    client,
    folder,
    problems,
    ...(problems.length > 0 && { mend: await mending(client, path, problems) }),
  };
}

async function folderFor(client: ClientName, path: string): Promise<string> {
  const { folder, target } = profiles[client];
  for (const name of [folder, profiles[usualClients[target]].folder])
    if ((await pathKind(join(path, name))) === 'folder') return join(path, name);
  return path;
}

/** Another form of models that are there is bundled; what is not there, or is wrong in itself, is converted. */
async function mending(client: ClientName, path: string, problems: readonly string[]): Promise<string> {
  const { target, required, takesChunks } = profiles[client];
  const output = outputOf(client, path);
  const inside = join(output, profiles[usualClients[target]].folder);
  const base = target === 'onnx' && (await exists(inside)) ? inside : output;
  const format = target === 'onnx' ? 'onnx' : 'mlpackage';
  const models = (await modelsIn(base)).filter(
    (model) => model.format === format && (takesChunks || !model.isInChunks),
  );
  const hasAll = required.every((wanted) => models.some(({ network }) => network === wanted));
  const isTooNew = problems.some((problem) => problem.includes(olderSystem));
  if (hasAll && !isTooNew && client !== 'optimum') return `sdconvert bundle ${output} --for ${client}`;
  const name = (await readProvenance(output))?.checkpoint?.name ?? 'CHECKPOINT';
  return `sdconvert convert --model-version ${name} --for ${client} -o ${output}`;
}

/** The output folder of a path, which may be the folder in it that the client loads. */
function outputOf(client: ClientName, path: string): string {
  const { folder, target } = profiles[client];
  const isInside = [folder, profiles[usualClients[target]].folder].includes(basename(path));
  return isInside ? dirname(path) : path;
}
