import { variants, weightFileNames } from '../../src/checkpoint/component-weights.ts';
import { familyTitles, kindTitles, type UNetKind } from '../../src/checkpoint/family.ts';
import { loraFormats } from '../../src/checkpoint/lora/describe-lora.ts';
import { otherAdapters } from '../../src/checkpoint/lora/lora-key.ts';
import { changeKinds } from '../../src/checkpoint/lora/module-change.ts';
import { componentClasses } from '../../src/checkpoint/open-component.ts';
import { refusedPipelines, supportedPipelines } from '../../src/checkpoint/recognize/pipelines.ts';
import { knownWeightFiles, type RecognizedWeights } from '../../src/checkpoint/recognize/weight-file-kind.ts';
import {
  openedAlone,
  readSingleComponent,
  readSingleFile,
} from '../../src/checkpoint/single-file/open-single-file.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { findings } from '../../src/io/sniff.ts';
import { blockConverter } from '../../src/weights/convert-dtype.ts';
import { ggufTypes, otherGgufTypes } from '../../src/weights/gguf/gguf-types.ts';
import { safetensorsDTypes } from '../../src/weights/safetensors-header.ts';
import { otherFormats, readFormats } from '../../src/weights/scaled/quant-formats.ts';
import { torchDTypes } from '../../src/weights/torch/torch-globals.ts';
import { fullSizeCheckpoint } from '../../test/support/full-size.ts';
import { headerFile, type RecordedFile, recordedPlaces } from '../../test/support/single-file.ts';
import { attempt } from './attempt.ts';
import { code, list, Notes, table } from './markdown.ts';

/** Folders: pipelines, names of files, parts. */
export function folderSection(): string {
  const { vae, controlnet } = componentClasses;
  return [
    'The `_class_name` of `model_index.json` is one of these:\n',
    list(supportedPipelines.map((name) => code([name]))),
    'Each network’s folder has its weights under one of these names, the first that is there; an index names several',
    `files. A variant (${code(variants)}; \`--variant\`) stands before the ending.\n`,
    list(weightFileNames.map((name) => code([name]))),
    `From elsewhere come a VAE (${code(vae)}; \`--custom-vae-version\`) and ControlNets (${code(controlnet)};
\`--convert-controlnet\`), as folders or single files.\n`,
  ].join('\n');
}

type Shapes = Readonly<Record<string, readonly number[]>>;

/** The recorded files that are whole checkpoints. */
const checkpoints = ['sd15', 'sd21', 'sdxl', 'sdxl-refiner'] as const satisfies readonly RecordedFile[];

const FIRST = 'model.diffusion_model.input_blocks.0.0.weight';

/** A family's single file as one of another kind: what the kinds read shows in the first convolution, or in an embedding. */
const asKind: { readonly [K in UNetKind]: (shapes: Shapes) => Shapes } = {
  base: (shapes) => shapes,
  inpainting: (shapes) => reading(9, shapes),
  pix2pix: (shapes) => reading(8, shapes),
  depth: (shapes) => reading(5, shapes),
  lcm: (shapes) => ({
    ...shapes,
    'model.diffusion_model.time_embed.cond_proj.weight': [shapes[FIRST]?.[0] ?? 0, 256],
  }),
};

function reading(channels: number, shapes: Shapes): Shapes {
  return { ...shapes, [FIRST]: (shapes[FIRST] ?? []).with(1, channels) };
}

/** Single files in their original names: each is opened, and its UNet built. */
export async function singleFileTable(): Promise<string> {
  const notes = new Notes();
  // as: Object.keys gives strings; the table has exactly these keys.
  const kinds = Object.keys(kindTitles) as UNetKind[];
  const rows = [['family', 'networks in the file', ...kinds.map((kind) => kindTitles[kind])]];
  for (const name of checkpoints) {
    const shapes = shapesOf(name);
    const { family, components } = await readSingleFile(headerFile(shapes));
    const cells = kinds.map((kind) => attempt(() => unetOf(asKind[kind](shapes), kind), notes));
    rows.push([family ? familyTitles[family] : name, code(components.keys()), ...(await Promise.all(cells))]);
  }
  return [table(rows), notes].join('\n');
}

async function unetOf(shapes: Shapes, kind: UNetKind): Promise<string> {
  const checkpoint = await readSingleFile(headerFile(shapes));
  convert(checkpoint, { contract: optimumContract, attention: 'ORIGINAL', models: ['unet'], sizes: {} });
  const { _class_name: pipeline } = checkpoint.modelIndex;
  if (checkpoint.kind !== kind || !supportedPipelines.includes(String(pipeline)))
    throw new Error(`a file for ${kindTitles[kind]} is taken for ${checkpoint.kind} of ${pipeline}`);
  return '✓';
}

/** Parts that come in a file of their own, with the names they have there. */
const parts: readonly { readonly as: 'unet' | 'vae' | 'controlnet'; readonly original: () => Shapes }[] = [
  { as: 'unet', original: () => behind('model.diffusion_model.', shapesOf('sd15')) },
  { as: 'vae', original: () => behind('first_stage_model.', shapesOf('sd15')) },
  { as: 'controlnet', original: () => shapesOf('controlnet-sd15') },
];

/** Parts of 1.5 in files of their own: each is opened, and its networks built. */
export async function partTable(): Promise<string> {
  const notes = new Notes();
  const rows = [['part of 1.5', 'names of the original code', 'names of diffusers']];
  for (const { as, original } of parts) {
    const list = fullSizeCheckpoint(as === 'controlnet' ? 'controlnet-sd15' : 'sd15').components.get(as);
    const diffusers = Object.fromEntries(
      [...(list?.weights ?? [])].map(([name, { shape }]) => [name, shape]),
    );
    const cells = [original(), diffusers].map((shapes) => attempt(() => networksOf(as, shapes), notes));
    rows.push([code([as]), ...(await Promise.all(cells))]);
  }
  return [table(rows), notes].join('\n');
}

async function networksOf(as: (typeof parts)[number]['as'], shapes: Shapes): Promise<string> {
  const component = await readSingleComponent(headerFile(shapes), { as, className: componentClasses[as][0] });
  const checkpoint = { ...fullSizeCheckpoint('sd15'), components: new Map([[as, component]]) };
  convert(checkpoint, { contract: optimumContract, attention: 'ORIGINAL', sizes: {} });
  return '✓';
}

function shapesOf(name: RecordedFile): Shapes {
  return Object.fromEntries(Object.entries(recordedPlaces(name)).map(([key, [shape]]) => [key, shape]));
}

function behind(prefix: string, shapes: Shapes): Shapes {
  const inside = Object.entries(shapes).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(inside.map(([name, shape]) => [name.slice(prefix.length), shape]));
}

/** Element types, by each format's spelling. */
export function dtypeTable(): string {
  const torchNames = new Map([...torchDTypes].map(([name, dtype]) => [dtype, name]));
  const ggufNames = new Map([...ggufTypes.values()].map(({ name, as }) => [as, name]));
  const rows = Object.entries(safetensorsDTypes).map(([name, dtype]) => {
    const targets = (['f32', 'f16'] as const).filter((to) => blockConverter(dtype, to));
    const torch = torchNames.get(dtype);
    return {
      name,
      torch,
      gguf: ggufNames.get(dtype),
      becomes: targets.map((to) => (to === 'f32' ? 'float32' : 'float16')).join(', '),
    };
  });
  const weights = rows.filter(({ becomes }) => becomes);
  const others = rows.filter(({ becomes }) => !becomes);
  return [
    table([
      ['in safetensors', 'in PyTorch’s files', 'in GGUF', 'becomes'],
      ...weights.map(({ name, torch, gguf, becomes }) => [
        code([name]),
        torch ? code([torch]) : '✗',
        gguf ? code([gguf]) : '✗',
        becomes,
      ]),
    ]),
    `GGUF (versions 2 and 3) also packs numbers, by blocks with scales: ${code(packedTypes())} are unpacked as they`,
    `are read, and become float32 or float16; ${code(otherGgufTypes.values())} are refused.\n`,
    `Tensors of ${code(others.map(({ name }) => name))} may be in a file, but no network has weights of these types.`,
    'Scales beside 8-bit floats and signed bytes are applied as they stream: `<module>.scale_weight` or',
    '`<module>.weight_scale`, one for a tensor, each output channel or each block; NVIDIA’s 4-bit floats as diffusers',
    'and ComfyUI lay them out. 8-bit floats without scales are refused where values were cut off at the largest there is.',
    `Of ComfyUI’s formats these are read: ${code(readFormats)}. Refused by name: what is rotated (\`convrot\`), and the`,
    `formats of ${otherFormats.map(([, name]) => name).join('; ')}.\n`,
  ].join('\n');
}

function packedTypes(): string[] {
  return [...ggufTypes.values()].filter(({ as }) => typeof as !== 'string').map(({ name }) => name);
}

/** What LoRAs may look like. */
export function loraSection(): string {
  const others = otherAdapters.map(([, name]) => name);
  return list([
    `**Names of:** ${loraFormats.join('; ')}.`,
    `**Changes written as:** ${changeKinds.join(', ')}, each with or without DoRA.`,
    '**For:** the UNet and the text encoders of every family above; linear layers and convolutions.',
    `**Recognised and refused:** ${others.join('; ')}.`,
  ]);
}

/** Everything that is known by its names, and what the tool says to it. */
export function recognizedTables(): string {
  const taken = knownWeightFiles
    .map((row) => [`… is ${row.what}.`, howTaken(row), row.advice])
    .toSorted(([, a = ''], [, b = '']) => ways.indexOf(a) - ways.indexOf(b));
  const refusals = [
    ...refusedPipelines.map(({ what, advice }) => ['folder', what, advice]),
    // What is no refusal is a format that is read, named where something else is needed.
    ...findings.filter(({ what }) => /\bnot\b/.test(what)).map(({ what, advice }) => ['file', what, advice]),
  ];
  return [
    'A single file of weights, by the names of its tensors:\n',
    table([['the tool says', 'converted', 'and advises'], ...taken]),
    'Folders of other pipelines, and files of other formats:\n',
    table([
      ['given', 'the tool says', 'and advises'],
      ...refusals.map(([given = '', what, advice = '']) => [given, `… is ${what}.`, advice]),
    ]),
  ].join('\n');
}

const ways = ['✓ alone', '✓ with a checkpoint', '✗'];

function howTaken({ kind }: RecognizedWeights): string {
  if (openedAlone.includes(kind)) return '✓ alone';
  return kind === 'lora' || kind in componentClasses ? '✓ with a checkpoint' : '✗';
}
