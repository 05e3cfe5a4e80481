import { join } from 'node:path';
import { z } from 'zod';
import { SdConvertError } from '../../errors.ts';
import { modelName } from '../../formats/format.ts';
import { artifactsIn, withArtifact } from '../../formats/open.ts';
import { readProvenance } from '../../formats/provenance.ts';
import { exists, pathKind } from '../../io/disk.ts';
import { excerpt, shown } from '../../io/error-text.ts';
import { readStrictJson } from '../../io/json/strict-json.ts';
import { modelsIn } from '../../run/find-models.ts';
import { areOfRefiner, areOfXl } from '../../run/xl-models.ts';
import { comfyNames } from './core-ml-profiles.ts';
import type { ClientName, Profile } from './profile.ts';

/**
 * What the apps read of compiled models, restated from their sources: Mochi Diffusion 6 (SDModel.swift, SDControlNet.swift)
 * and GuernikaKit (CoreMLMetadata.swift, Unet.swift, TextEncoder.swift); Apple’s Swift package opens the models only.
 */

/** `metadata.json`: a list of one object, whose inputs are texts by texts. */
const metadataSchema = z.tuple([
  z.looseObject({
    mlProgramOperationTypeHistogram: z.record(z.string(), z.number()),
    inputSchema: z.array(z.record(z.string(), z.string())).min(1),
    outputSchema: z.array(z.looseObject({ name: z.string() })).optional(),
    userDefinedMetadata: z.record(z.string(), z.string()).optional(),
  }),
]);

type Metadata = z.output<typeof metadataSchema>[0];

/** What mends operations that only newer systems have: bundling copies them. */
export const olderSystem = 'convert it with --min-deployment-target macOS13';

/** Everything that a client would refuse in a folder of Core ML models, a sentence each. Reads no weights. */
export async function checkCoreMlFolder(
  client: ClientName,
  profile: Profile,
  folder: string,
): Promise<string[]> {
  if (client === 'comfyui') return checkComfyUi(folder);
  const found: string[] = [];
  for (const file of profile.files)
    if ((await pathKind(join(folder, file))) !== 'file') found.push(`${file} is missing.`);
  const unets = await presentUnets(profile, folder);
  if (unets.length === 0)
    found.push('there is no Unet.mlmodelc, and no UnetChunk1.mlmodelc with UnetChunk2.mlmodelc.');
  const others = [...(await textEncodersFor(folder)), 'VAEDecoder'];
  if (client === 'mochi') others.push('VAEEncoder');
  for (const name of others)
    if ((await pathKind(join(folder, `${name}.mlmodelc`))) !== 'folder')
      found.push(`${name}.mlmodelc is missing.`);
  found.push(...(await checkCompiled(folder)));
  if (client === 'swift') return found;
  const [unet] = unets;
  if (unet)
    found.push(...(await checkMetadata(folder, unet, (metadata) => checkUnet(client, unet, metadata))));
  if (client === 'mochi') {
    if (await exists(join(folder, 'VAEEncoder.mlmodelc')))
      found.push(...(await checkMetadata(folder, 'VAEEncoder', checkEncoder)));
    return [...found, ...(unet ? await checkControlNets(folder, unet) : [])];
  }
  for (const name of ['TextEncoder', 'TextEncoder2'])
    if (await exists(join(folder, `${name}.mlmodelc`)))
      found.push(...(await checkMetadata(folder, name, (metadata) => checkTextEncoder(name, metadata))));
  return [...found, ...(unet ? await checkPrediction(folder, unet) : [])];
}

/** What is wrong with the compiled models in a folder: each is opened, its weights are not read. */
async function checkCompiled(folder: string): Promise<string[]> {
  const found: string[] = [];
  const models = (await pathKind(folder)) === 'folder' ? await artifactsIn(folder) : [];
  for (const { format, path } of models) {
    if (format !== 'mlmodelc') continue;
    try {
      await withArtifact(path, (artifact) => artifact.facts());
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      found.push(error.problem);
    }
  }
  return found;
}

/** The text encoders that the UNet reads: Stable Diffusion XL both, its refiner the second. */
async function textEncodersFor(folder: string): Promise<string[]> {
  const models = await modelsIn(folder);
  if (!(await areOfXl(models))) return ['TextEncoder'];
  return (await areOfRefiner(models)) ? ['TextEncoder2'] : ['TextEncoder', 'TextEncoder2'];
}

/** The UNet that apps load: whole, the first of two chunks, or, where they have Apple’s ControlNets, the one for these. */
async function presentUnets({ networks }: Profile, folder: string): Promise<string[]> {
  const loaded = ['Unet', 'UnetChunk1', ...(networks.includes('control-unet') ? ['ControlledUnet'] : [])];
  const names: string[] = [];
  for (const name of loaded) if (await exists(join(folder, `${name}.mlmodelc`))) names.push(name);
  const isHalf = names.includes('UnetChunk1') && !(await exists(join(folder, 'UnetChunk2.mlmodelc')));
  return isHalf ? names.filter((name) => name !== 'UnetChunk1') : names;
}

async function readMetadata(folder: string, name: string): Promise<Metadata | string> {
  const file = `${name}.mlmodelc/metadata.json`;
  if ((await pathKind(join(folder, file))) !== 'file') return `${file} is missing.`;
  const json = await readStrictJson(join(folder, file));
  if (json === undefined) return `${file} is not strict JSON.`;
  const { data, error } = metadataSchema.safeParse(json, { reportInput: true });
  if (data?.[0]) return data[0];
  const [issue] = error?.issues ?? [];
  const where = excerpt(issue?.path.join('.') ?? '');
  if (where === '') return `${file} is no list of models.`;
  return issue?.input === undefined
    ? `${file} has no ${where}.`
    : `${file}: ${where} is ${shown(issue.input)}, which no compiler writes.`;
}

async function checkMetadata(
  folder: string,
  name: string,
  check: (metadata: Metadata) => string[],
): Promise<string[]> {
  const metadata = await readMetadata(folder, name);
  return typeof metadata === 'string' ? [metadata] : check(metadata);
}

function checkUnet(client: ClientName, name: string, metadata: Metadata): string[] {
  const { mlProgramOperationTypeHistogram: operations } = metadata;
  const found: string[] = [];
  const einsum = Object.keys(operations).find((key) => key.endsWith('.einsum'));
  if (einsum !== undefined && einsum !== 'Ios16.einsum')
    found.push(
      `${name} has ${einsum} operations, so ${client} takes its attention for ORIGINAL: ${olderSystem}.`,
    );
  if (client !== 'guernika') return found;
  for (const input of ['sample', 'timestep', 'encoder_hidden_states'])
    if (!shapeOf(metadata, input)) found.push(`${name} has no input ${input} with a shape.`);
  if (shapeOf(metadata, 'encoder_hidden_states')?.length !== 4)
    found.push(
      `${name}: encoder_hidden_states is not [B, C, 1, S], where ${client} finds the width of the text.`,
    );
  return found;
}

/** Guernika ends where a text encoder lacks one of these outputs, of Stable Diffusion XL too (TextEncoder.swift). */
function checkTextEncoder(name: string, { outputSchema }: Metadata): string[] {
  if (!outputSchema) return [];
  return ['last_hidden_state', 'pooled_outputs']
    .filter((wanted) => !outputSchema.some((output) => output.name === wanted))
    .map((wanted) => `${name} has no output ${wanted}, which guernika reads.`);
}

/** Mochi takes the size of pictures from the encoder's input. */
function checkEncoder({ inputSchema: [input] }: Metadata): string[] {
  if (/^\[1, 3, \d+, \d+\]$/.test(input?.shape ?? '')) return [];
  return [
    `VAEEncoder takes ${input?.shape ?? 'no shape'}, and mochi reads the size from [1, 3, height, width].`,
  ];
}

/** ControlNets that Mochi leaves out: it offers those of the model’s size and attention (SDControlNet.swift, SDModel.swift). */
async function checkControlNets(folder: string, unet: string): Promise<string[]> {
  const place = join(folder, 'controlnet');
  const models = (await pathKind(place)) === 'folder' ? await artifactsIn(place) : [];
  const [own, encoder] = await Promise.all([unet, 'VAEEncoder'].map((name) => readMetadata(folder, name)));
  const drawn = typeof encoder === 'object' ? sizeOf(encoder.inputSchema[0]?.shape) : undefined;
  // What is wrong with these was said before.
  if (typeof own !== 'object' || drawn === undefined) return [];
  const found: string[] = [];
  for (const { format, path } of models) {
    if (format !== 'mlmodelc') continue;
    const name = `controlnet/${modelName(path)}`;
    const check = (metadata: Metadata): string[] => {
      const input = metadata.inputSchema.find((each) => each.name === 'controlnet_cond');
      const size = sizeOf(input?.shape);
      if (size === undefined) return [`${name} has no input controlnet_cond with a size.`];
      return [
        ...(size === drawn
          ? []
          : [
              `${name} is for ${size} pixels, and mochi offers it for models of that size: this is ${drawn}.`,
            ]),
        ...(isSplit(metadata) === isSplit(own)
          ? []
          : [`${name} has another attention than ${unet}, so mochi does not offer it for this model.`]),
      ];
    };
    found.push(...(await checkMetadata(folder, name, check)));
  }
  return found;
}

/** Whether Mochi takes a model’s attention for SPLIT_EINSUM. */
function isSplit({ mlProgramOperationTypeHistogram: operations }: Metadata): boolean {
  return operations['Ios16.einsum'] !== undefined;
}

/** Height and width in a declared shape: `[2, 3, 512, 768]` → `512 × 768`. */
function sizeOf(shape = ''): string | undefined {
  const [, height, width] = /^\[\d+, \d+, (\d+), (\d+)\]$/.exec(shape) ?? [];
  return height && `${height} × ${width}`;
}

function shapeOf({ inputSchema }: Metadata, name: string): number[] | undefined {
  const shape = inputSchema.find((input) => input.name === name)?.shape;
  return shape?.match(/\d+/g)?.map(Number);
}

/** A model that predicts v is drawn with as if it predicted noise, unless its metadata say so. */
async function checkPrediction(folder: string, unet: string): Promise<string[]> {
  const { pipeline } = (await readProvenance(join(folder, '..'))) ?? {};
  const wanted = pipeline?.scheduler?.prediction_type;
  const metadata = await readMetadata(folder, unet);
  if (typeof metadata === 'string' || wanted !== 'v_prediction') return [];
  return metadata.userDefinedMetadata?.prediction_type === wanted
    ? []
    : [`${unet} does not say that it predicts v, so guernika would draw noise.`];
}

async function checkComfyUi(folder: string): Promise<string[]> {
  const packages = (await artifactsIn(folder)).filter(({ format }) => format === 'mlpackage');
  const found: string[] = [];
  let hasUnet = false;
  for (const { path } of packages) {
    const name = modelName(path);
    const pattern = comfyNames.findIndex((each) => each.test(name));
    if (pattern < 0) {
      found.push(
        `${name}.mlpackage has no name by which comfyui finds it, such as x_1x512x512_se.mlpackage.`,
      );
      continue;
    }
    if (pattern > 0) continue;
    hasUnet = true;
    try {
      const { inputs } = await withArtifact(path, (artifact) => artifact.facts());
      const { shape } = inputs.find((input) => input.name === 'encoder_hidden_states') ?? {};
      if (shape?.length !== 3)
        found.push(`${name}: encoder_hidden_states is [${shape?.join(', ')}], and comfyui takes [B, S, C].`);
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      found.push(error.problem);
    }
  }
  return hasUnet ? found : [...found, 'there is no package of a UNet.'];
}
