import { join } from 'node:path';
import { SdConvertError } from '../../../errors.ts';
import { exists } from '../../../io/disk.ts';
import { isJsonObject, type JsonObject } from '../../../io/json/python-json.ts';
import { readStrictJson } from '../../../io/json/strict-json.ts';
import { formatBytes } from '../../../text.ts';
import { type ArtifactFacts, type DeclaredValue, totalBytes } from '../../artifact.ts';
import { withArtifact } from '../../open.ts';
import { ASSET_VERSION, assetFileNames } from '../asset.ts';
import { MOST_BYTES } from '../build-asset.ts';
import { PIXELS } from './folder-metadata.ts';

/** Names of the components, where there are several the one that is taken first. */
const components = {
  text_encoder: ['text_encoder'],
  unet: ['transformer', 'unet'],
  vae_decoder: ['vae_decoder'],
  vae_encoder: ['vae_encoder'],
} as const;

type Component = keyof typeof components;

/** Inputs and outputs of an asset. */
type Borders = Pick<ArtifactFacts, 'inputs' | 'outputs'>;
type Facts = Borders & Pick<ArtifactFacts, 'problems'>;

/** What a `metadata.json` says of the assets beside it. */
export interface NamedAssets {
  /** Their file names, by what they are. */
  readonly assets: Readonly<Record<string, string>>;
  /** Height and width of the pictures, in pixels. */
  readonly imageSize: number | undefined;
}

/** Everything that Apple’s Core AI pipelines would refuse in the assets of a folder, a sentence each. Reads no weights. */
export async function checkAssets(folder: string, { assets, imageSize }: NamedAssets): Promise<string[]> {
  const found: string[] = [];
  const borders = new Map<Component, Borders>();
  // as: Object.keys gives strings; the table has exactly these keys.
  for (const component of Object.keys(components) as Component[]) {
    const key = components[component].find((name) => Object.hasOwn(assets, name));
    if (key === undefined) {
      if (component !== 'vae_encoder') found.push(`metadata.json names no ${component} in assets.`);
      continue;
    }
    const name = assets[key] ?? '';
    if (!(await exists(join(folder, name)))) {
      // Compiled by Apple's tool, which leaves nothing that could be read here.
      if (!(await exists(join(folder, `${name}c`)))) found.push(`${name} is missing.`);
      continue;
    }
    found.push(...(await checkVersion(folder, name)));
    try {
      const facts = await withArtifact(join(folder, name), (artifact) => artifact.facts());
      borders.set(component, facts);
      found.push(...checkSize(name, facts), ...checkPorts(component, name, facts));
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      found.push(error.problem);
    }
  }
  return [...found, ...checkFit(borders, imageSize)];
}

async function checkVersion(folder: string, name: string): Promise<string[]> {
  const path = join(folder, name, assetFileNames.metadata);
  if (!(await exists(path))) return [];
  const json = await readStrictJson(path);
  const { assetVersion: version }: JsonObject = isJsonObject(json) ? json : {};
  return version === ASSET_VERSION
    ? []
    : [
        `${name}/${assetFileNames.metadata} has the assetVersion ${JSON.stringify(version ?? null)}, and Core AI reads "${ASSET_VERSION}".`,
      ];
}

function checkSize(name: string, { files }: Pick<ArtifactFacts, 'files'>): string[] {
  const bytes = totalBytes(files);
  if (bytes <= MOST_BYTES) return [];
  return [
    `${name} has ${formatBytes(bytes)}, and devices with 8 GB of memory load at most ${formatBytes(MOST_BYTES)} at once: convert it with --quantize-nbits 8.`,
  ];
}

type Dims = readonly (number | 'h' | 'w' | 'any')[];

/** What a pipeline passes to each component by position, and what it takes from its first output. */
const ports: { readonly [C in Component]: { readonly inputs: readonly Dims[]; readonly output: Dims } } = {
  text_encoder: { inputs: [[1, 77]], output: [1, 77, 'any'] },
  unet: { inputs: [[2, 4, 'h', 'w'], [2], [2, 77, 'any']], output: [2, 4, 'h', 'w'] },
  vae_decoder: { inputs: [[1, 4, 'h', 'w']], output: [1, 3, 'h', 'w'] },
  vae_encoder: { inputs: [[1, 3, 'h', 'w']], output: [1, 8, 'h', 'w'] },
};

function checkPorts(component: Component, name: string, { inputs, outputs, problems }: Facts): string[] {
  if (problems.length > 0) return problems.map((problem) => `${name}: ${problem}`);
  const wanted = ports[component];
  if (inputs.length !== wanted.inputs.length) {
    const given = inputs.map((input) => input.name).join(', ');
    return [`${name} takes ${given || 'nothing'}, and coreai passes ${wanted.inputs.length} inputs.`];
  }
  const ids = component === 'text_encoder';
  const output = outputs.find(({ shape }) => shape?.length === wanted.output.length);
  return [
    ...inputs.flatMap((input, at) => checkPort(name, input, wanted.inputs[at] ?? [], ids)),
    ...(output
      ? checkPort(name, output, wanted.output, false)
      : [`${name} has no output ${show(wanted.output)}, which coreai reads.`]),
  ];
}

function checkPort(
  name: string,
  { shape, dtype, ...port }: DeclaredValue,
  wanted: Dims,
  isIds: boolean,
): string[] {
  const dtypes = isIds ? ['int32'] : ['float32', 'float16'];
  const sizes = shape ?? [];
  const fits =
    sizes.length === wanted.length &&
    wanted.every((size, at) => size === sizes[at] || isSize(size, sizes[at]));
  if (fits && dtypes.includes(dtype)) return [];
  return [
    `${name}: ${port.name} is ${dtype} [${sizes.join(', ')}], and coreai has ${dtypes.join(' or ')} ${show(wanted)}.`,
  ];
}

function isSize(wanted: Dims[number], size: number | string | undefined): boolean {
  return typeof wanted === 'string' && typeof size === 'number';
}

function show(dims: Dims): string {
  return `[${dims.map((dim) => (dim === 'any' ? 'C' : dim)).join(', ')}]`;
}

/** What one component gives must be what the next one takes. */
function checkFit(borders: ReadonlyMap<Component, Borders>, imageSize: number | undefined): string[] {
  const input = (component: Component, at: number) => borders.get(component)?.inputs[at]?.shape ?? undefined;
  const [latents, text] = [input('unet', 0), input('unet', 2)];
  const [, , height = 0, width = 0] = latents ?? [];
  const found: string[] = [];
  if (height !== width)
    found.push(
      `the UNet draws ${Number(width) * PIXELS} × ${Number(height) * PIXELS} pixels, and coreai draws squares: convert it with equal --latent-h and --latent-w.`,
    );
  else if (latents && imageSize !== undefined && imageSize !== Number(height) * PIXELS)
    found.push(
      `metadata.json: diffusion.image_size is ${imageSize}, and the UNet draws ${Number(height) * PIXELS} pixels.`,
    );
  const decoded = input('vae_decoder', 0);
  if (latents && decoded && (decoded[2] !== height || decoded[3] !== width))
    found.push(
      `the VAE decoder takes latents [${decoded.join(', ')}], and the UNet gives [1, 4, ${height}, ${width}].`,
    );
  const states = borders.get('text_encoder')?.outputs.find(({ shape }) => shape?.length === 3)?.shape;
  if (text && states && states[2] !== text[2])
    found.push(`the text encoder gives ${states[2]} channels, and the UNet takes ${text[2]}.`);
  return found;
}
