import { join } from 'node:path';
import { PIXELS } from '../../../convert/networks/latents.ts';
import { SdConvertError } from '../../../errors.ts';
import { exists } from '../../../io/disk.ts';
import type { HashOptions } from '../../../io/hashing/hash-stream.ts';
import { formatBytes } from '../../../text.ts';
import { type ArtifactFacts, type DeclaredValue, totalBytes } from '../../artifact.ts';
import { MOST_BYTES } from '../build-asset.ts';
import { openAsset } from '../open-asset.ts';
import { coreAiFacts } from '../read-coreai-facts.ts';
import { checkHash, checkProgram } from './check-program.ts';

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

/** What a `metadata.json` says of the assets beside it. */
export interface NamedAssets {
  /** Their file names, by what they are. */
  readonly assets: Readonly<Record<string, string>>;
  /** Height and width of the pictures, in pixels. */
  readonly imageSize: number | undefined;
}

/** How much of a folder is read. */
export interface FolderReading extends Pick<HashOptions, 'signal'> {
  /** Whether weights are read, for the hash over them. */
  readonly hashes?: boolean | undefined;
}

/**
 * Everything that Apple’s Core AI pipelines would refuse in the assets of a folder, a sentence each. Reads headers, and
 * with `hashes` all of their weights.
 */
export async function checkAssets(
  folder: string,
  { assets, imageSize }: NamedAssets,
  { hashes, signal }: FolderReading,
): Promise<string[]> {
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
    try {
      const asset = await openAsset(join(folder, name));
      try {
        const facts = await coreAiFacts(asset);
        found.push(...checkSize(name, facts), ...checkProgram(name, asset));
        if (facts.problems.length === 0) {
          borders.set(component, facts);
          found.push(...checkPorts(component, name, facts));
        }
        if (hashes) found.push(...(await checkHash(join(folder, name), name, { signal })));
      } finally {
        await asset.close();
      }
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      found.push(error.problem.replaceAll(join(folder, name), name));
    }
  }
  return [...found, ...checkFit(borders, imageSize)];
}

/** What mends an asset that is too large. */
export const FEWER_BITS = 'convert it with --quantize-nbits 8';

function checkSize(name: string, { files }: Pick<ArtifactFacts, 'files'>): string[] {
  const bytes = totalBytes(files);
  if (bytes <= MOST_BYTES) return [];
  return [
    `${name} has ${formatBytes(bytes)}, and devices with 8 GB of memory load at most ${formatBytes(MOST_BYTES)} at once: ${FEWER_BITS}.`,
  ];
}

/** A size, or the name of one that every port of a component has alike: C channels, latents h high and w wide, pixels. */
type Dims = readonly (number | 'C' | 'h' | 'w' | '8·h' | '8·w')[];

/** What a pipeline passes to each component by position, and what it takes from its first output. */
const ports: { readonly [C in Component]: { readonly inputs: readonly Dims[]; readonly output: Dims } } = {
  text_encoder: { inputs: [[1, 77]], output: [1, 77, 'C'] },
  unet: { inputs: [[2, 4, 'h', 'w'], [2], [2, 77, 'C']], output: [2, 4, 'h', 'w'] },
  vae_decoder: { inputs: [[1, 4, 'h', 'w']], output: [1, 3, '8·h', '8·w'] },
  vae_encoder: { inputs: [[1, 3, '8·h', '8·w']], output: [1, 8, 'h', 'w'] },
};

function checkPorts(component: Component, name: string, { inputs, outputs }: Borders): string[] {
  const wanted = ports[component];
  if (inputs.length !== wanted.inputs.length) {
    const given = inputs.map((input) => input.name).join(', ');
    return [`${name} takes ${given || 'nothing'}, and coreai passes ${wanted.inputs.length} inputs.`];
  }
  const ids = component === 'text_encoder';
  const output = outputs.find(({ shape }) => shape?.length === wanted.output.length);
  const sizes: Sizes = new Map();
  return [
    ...inputs.flatMap((input, at) =>
      checkPort(name, input, bound(wanted.inputs[at] ?? [], input, sizes), ids),
    ),
    ...(output
      ? checkPort(name, output, bound(wanted.output, output, sizes), false)
      : [`${name} has no output ${show(wanted.output)}, which coreai reads.`]),
  ];
}

/** Sizes that were found, by name. */
type Sizes = Map<string, number>;

/** What is wanted of a port, with the sizes that its component has elsewhere; those met for the first time become known. */
function bound(wanted: Dims, { shape }: DeclaredValue, sizes: Sizes): Dims {
  return wanted.map((size, at) => {
    if (typeof size === 'number') return size;
    const { factor, name } = partsOf(size);
    const [known, found] = [sizes.get(name), shape?.[at]];
    if (known !== undefined) return known * factor;
    if (typeof found === 'number') sizes.set(name, found / factor);
    return size;
  });
}

function partsOf(size: string): { readonly factor: number; readonly name: string } {
  return size.startsWith('8·') ? { factor: PIXELS, name: size.slice(2) } : { factor: 1, name: size };
}

function checkPort(
  name: string,
  { shape, dtype, ...port }: DeclaredValue,
  wanted: Dims,
  isIds: boolean,
): string[] {
  const dtypes = isIds ? ['int32'] : ['float32', 'float16'];
  const sizes = shape ?? [];
  const fits = sizes.length === wanted.length && wanted.every((size, at) => fitsIn(size, sizes[at]));
  if (fits && dtypes.includes(dtype)) return [];
  return [
    `${name}: ${port.name} is ${dtype} [${sizes.join(', ')}], and coreai has ${dtypes.join(' or ')} ${show(wanted)}.`,
  ];
}

function fitsIn(wanted: Dims[number], size: number | string | undefined): boolean {
  if (typeof wanted === 'number') return size === wanted;
  return typeof size === 'number' && size % partsOf(wanted).factor === 0;
}

function show(dims: Dims): string {
  return `[${dims.join(', ')}]`;
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
  const picture = input('vae_encoder', 0);
  const sizes = [Number(height) * PIXELS, Number(width) * PIXELS];
  if (latents && picture && (picture[2] !== sizes[0] || picture[3] !== sizes[1]))
    found.push(
      `the VAE encoder takes pictures [${picture.join(', ')}], and the UNet draws [1, 3, ${sizes.join(', ')}].`,
    );
  const states = borders.get('text_encoder')?.outputs.find(({ shape }) => shape?.length === 3)?.shape;
  if (text && states && states[2] !== text[2])
    found.push(`the text encoder gives ${states[2]} channels, and the UNet takes ${text[2]}.`);
  return found;
}
