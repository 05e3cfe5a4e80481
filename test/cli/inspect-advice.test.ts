import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../cli/run-command-line.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { encodePng } from '../../src/generate/png.ts';
import { add } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { readTensors } from '../../src/weights/read-tensors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { convertDrawingCheckpoint, SIDE } from '../support/drawing-checkpoints.ts';
import { golden, sdShapes } from '../support/sd-shapes.ts';
import { writeSmallLora } from '../support/small-lora.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { wideFolder, writeSingleFile } from '../support/write-single-file.ts';

/** Each command that `inspect` advises is run: what it names has to be there, and the command has to take it. */

const at = temporaryFolder();
const fixtures = join(import.meta.dirname, '../fixtures');
const CHUNK_BYTES = 1_500_000;

/** What stands for the words in CAPITALS: a file or folder that fits what is inspected. */
type Placeholders = Readonly<Record<string, string>>;

beforeAll(async () => {
  await convertCheckpoint({ modelVersion: sdShapes, output: at('out'), targets: ['onnx', 'coreml'] });
  for (const name of ['plain', 'inpainting', 'pix2pix', 'xl', 'refiner'] as const)
    await convertDrawingCheckpoint(at(), name, { target: 'onnx' });
  await writePictures();
}, 120_000);

async function writePictures(): Promise<void> {
  const picture = {
    width: SIDE,
    height: SIDE,
    channels: 3,
    data: new Uint8Array(SIDE * SIDE * 3).fill(255),
  } as const;
  for (const name of ['image.png', 'mask.png']) writeFileSync(at(name), encodePng(picture));
}

/** Runs the commands that `inspect` advises for a path, and for what these lead to; gives their names. */
async function followAdvice(path: string, placeholders: Placeholders = {}): Promise<string[]> {
  const { next } = await inspect({ path });
  if (!('command' in next)) return [];
  const [program, ...words] = wordsOf(next.command);
  expect(program).toBe('sdconvert');
  const known: Placeholders = {
    'IMAGE.png': at('image.png'),
    'MASK.png': at('mask.png'),
    'OUTPUTS.safetensors': at('outputs.safetensors'),
    PROMPT: 'a red circle',
    OUT: at('out'),
    ...placeholders,
  };
  const args = words.map((word) => known[word] ?? word);
  expect(args.filter((arg) => /^[A-Z]+(\.\w+)?$/.test(arg))).toEqual([]);
  const [command = ''] = args;
  await run([...args, ...quickly(command)]);
  if (command !== 'inspect') return [command];
  return [command, ...(await followAdvice(args[1] ?? '', placeholders))];
}

/** What makes a command short, without changing what it checks. */
function quickly(command: string): string[] {
  if (command === 'convert') return ['--dry-run', '-o', at('dry')];
  if (command === 'generate') return ['--num-inference-steps', '2', '-o', at('pictures')];
  return [];
}

/** The words of a command line as a shell reads them. */
function wordsOf(command: string): string[] {
  return execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

async function run(args: readonly string[]): Promise<void> {
  const said: string[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((text) => said.push(String(text)) > 0),
  );
  const code = await runCommandLine(args, new AbortController().signal).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  expect(code, `sdconvert ${args.join(' ')}\n${said.join('')}`).toBe(0);
}

function copied(from: string, ...to: string[]): string {
  mkdirSync(at(...to.slice(0, -1)), { recursive: true });
  cpSync(from, at(...to), { recursive: true });
  return at(...to);
}

const weights = 'diffusion_pytorch_model.safetensors';
const packaged = (network: string) => at('out', `Stable_Diffusion_version_sd-shapes_${network}.mlpackage`);

/** What is inspected, the commands that are advised in turn, the path (made when it is needed), and what fits it. */
type Case = readonly [
  title: string,
  commands: string,
  path: () => string | Promise<string>,
  placeholders?: () => Placeholders | Promise<Placeholders>,
];

const sources: readonly Case[] = [
  ['a checkpoint', 'convert', () => sdShapes],
  ['a component of it', 'inspect convert', () => join(sdShapes, 'unet')],
  ['a file of it', 'inspect convert', () => join(sdShapes, 'vae', weights)],
  ['a config of it', 'inspect', () => join(sdShapes, 'scheduler/scheduler_config.json')],
  ['its tokenizer', 'inspect', () => join(sdShapes, 'tokenizer/vocab.json')],
  ['its model_index.json', 'inspect convert', () => join(sdShapes, 'model_index.json')],
  ['names with blanks and quotes', 'convert', () => copied(sdShapes, "it's mine; $HOME")],
  ['a folder of the Hub’s cache', 'convert', () => hubCache()],
  ['a checkpoint without a text encoder', 'convert', () => without('text_encoder')],
  ['a checkpoint without a UNet', 'convert', () => without('unet')],
  ['an inpainting checkpoint', 'convert', () => at('inpainting checkpoint')],
  ['a checkpoint of XL', 'convert', () => at('xl checkpoint')],
  ['a refiner', 'convert', () => at('xl checkpoint refiner'), () => ({ CHECKPOINT: at('xl checkpoint') })],
  ['a single file', 'convert', () => writeSingleFile(at('single.safetensors'))],
  ['a UNet alone', 'convert', () => copied(join(sdShapes, 'unet'), 'alone', 'unet')],
  ['a UNet’s file alone', 'convert', () => copied(join(sdShapes, 'unet', weights), 'unet.safetensors')],
  ['a VAE alone', 'convert', () => copied(join(sdShapes, 'vae'), 'alone', 'vae')],
  ['a VAE’s file alone', 'convert', () => copied(join(wideFolder, 'vae', weights), 'vae.safetensors'), wide],
  ['a tiny VAE', 'inspect convert', () => join(fixtures, 'tiny-autoencoder/vae')],
  ['a text encoder alone', '', () => copied(join(sdShapes, 'text_encoder'), 'alone', 'text')],
  ['a LoRA', 'convert', () => writeSmallLora(at('lora.safetensors'))],
  ['a LoRA with a colon in its name', 'convert', () => writeSmallLora(at('style:2.safetensors'))],
  ['a ControlNet', 'convert', () => join(fixtures, 'drawing/controlnet'), plain],
  ['a ControlNet’s file', 'convert', () => join(fixtures, 'drawing/controlnet', weights), plain],
  [
    'a ControlNet’s file alone',
    'convert',
    () => copied(join(fixtures, 'controlnet-sd15', weights), 'controlnet.safetensors'),
    wide,
  ],
  ['a folder of weight files', 'inspect convert', () => downloads()],
  ['a textual inversion', 'generate', () => inversion()],
  ['a shard', 'inspect', () => sharded()],
  ['recorded tensors', 'validate', () => golden('unet.t501'), () => ({ MODEL: at('out/onnx/unet') })],
  [
    'recorded tensors of a VAE',
    'validate',
    () => golden('vae_decoder'),
    () => ({ MODEL: packaged('vae_decoder') }),
  ],
  ['what run recorded', 'validate', () => recordedRun(), () => ({ MODEL: at('out/onnx/vae_decoder') })],
];

const results: readonly Case[] = [
  ['a conversion', 'generate', () => at('out')],
  ['its ONNX folder', 'generate', () => at('out/onnx')],
  ['what Swift loads', 'generate', () => at('out/Resources')],
  ...(['inpainting', 'pix2pix', 'xl', 'refiner'] as const).map(
    (name): Case => [
      `a conversion of ${name}`,
      name === 'refiner' ? 'inspect validate' : 'generate',
      () => at(`${name} onnx float32`),
      () => ({ CHECKPOINT: at(`${name} checkpoint`) }),
    ],
  ),
  ['a conversion with ControlNets', 'generate', () => at('plain onnx float32'), plain],
  ['its ControlNet', 'run', () => at('plain onnx float32/onnx/controlnet'), () => controlNetInputs(1)],
  ['a ControlNet without a checkpoint', 'inspect run', () => controlNetAlone(), () => controlNetInputs(2)],
  [
    'the refiner of a conversion',
    'validate',
    () => at('xl onnx float32/onnx/refiner'),
    () => ({ CHECKPOINT: at('xl checkpoint refiner') }),
  ],
  [
    'a conversion that has lost a text encoder',
    'inspect validate',
    () => xlWithoutEncoder(),
    () => ({ CHECKPOINT: at('xl checkpoint') }),
  ],
  ['its UNet', 'validate', () => at('plain onnx float32/onnx/control-unet'), plain],
  ['networks of which no picture can be drawn', 'inspect validate', () => part('onnx/unet')],
  ['a part of the packages', 'validate', () => part(basename(packaged('unet')))],
  ...(['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'] as const).flatMap((network): Case[] => [
    [`ONNX: ${network}`, 'validate', () => at('out/onnx', network)],
    [`a package: ${network}`, 'validate', () => packaged(network)],
  ]),
  ['an ONNX file', 'validate', () => at('out/onnx/vae_decoder/model.onnx')],
  ['weights of an ONNX file', 'inspect validate', () => at('out/onnx/unet/model.onnx_data')],
  ['a file in a package', 'inspect validate', () => join(packaged('unet'), 'Manifest.json')],
  [
    'weights in a package',
    'inspect validate',
    () => join(packaged('unet'), 'Data/com.apple.CoreML/weights/weight.bin'),
  ],
  ['a file in a compiled model', 'inspect validate', () => at('out/Resources/Unet.mlmodelc/model.mil')],
  ['a compiled model', 'validate', () => at('out/Resources/VAEDecoder.mlmodelc')],
  ['a chunk', 'validate', () => chunked(copied(at('out/onnx/unet'), 'chunks', 'unet'))],
  ['a folder with chunks', 'inspect validate', () => at('chunks')],
  [
    'a chunk as a package',
    'validate',
    () => chunked(copied(packaged('unet'), 'packages', basename(packaged('unet')))),
  ],
  ['a folder with chunks as packages', 'validate', () => at('packages')],
  ['quantised ONNX', 'validate', () => quantized(at('out/onnx/vae_encoder'), at('vae_encoder-8bit'))],
  [
    'a quantised package',
    'validate',
    () => quantized(packaged('vae_encoder'), at('vae_encoder-8bit.mlpackage')),
  ],
  [
    'a model that is no network of these',
    'run',
    () => smallModel(),
    () => ({ 'INPUTS.safetensors': at('inputs.safetensors') }),
  ],
  ['a picture', 'generate', () => at('image.png')],
];

describe('every command that inspect advises can be run', () => {
  for (const [title, commands, path, placeholders] of [...sources, ...results])
    test(title, async () => {
      const ran = await followAdvice(await path(), { CHECKPOINT: sdShapes, ...(await placeholders?.()) });
      expect(ran.join(' ')).toBe(commands);
    });
});

/** What is told in words, what is done as the words say, and what inspect says of it then. */
type Told = readonly [words: string, path: Making, follow: Making];
type Making = () => string | Promise<string>;

const told: readonly Told[] = [
  [
    'Convert it again with --force, or copy it again.',
    () => {
      copied(at('out'), 'damaged');
      truncateSync(at('damaged/onnx/unet/model.onnx_data'), 1000);
      return at('damaged');
    },
    async () => {
      await run(['convert', '--model-version', sdShapes, '-o', at('damaged'), '--target', 'onnx', '--force']);
      return at('damaged');
    },
  ],
  [
    'Copy or convert it again, with all of its files.',
    () => {
      copied(at('out/onnx/unet'), 'incomplete');
      rmSync(at('incomplete/model.onnx_data'));
      return at('incomplete');
    },
    () => {
      cpSync(at('out/onnx/unet/model.onnx_data'), at('incomplete/model.onnx_data'));
      return at('incomplete');
    },
  ],
  [
    'Copy the .onnx file that it belongs to beside it.',
    () => copied(at('out/onnx/unet/model.onnx_data'), 'lonely', 'model.onnx_data'),
    () => {
      cpSync(at('out/onnx/unet/model.onnx'), at('lonely/model.onnx'));
      return at('lonely/model.onnx_data');
    },
  ],
  [
    'It is one of several files: copy the others beside it, and their .index.json.',
    async () => copied(await sharded(), 'shard', 'diffusion_pytorch_model-00001-of-00002.safetensors'),
    async () => {
      cpSync(dirname(await sharded()), at('shard'), { recursive: true });
      return at('shard/diffusion_pytorch_model-00001-of-00002.safetensors');
    },
  ],
  [
    'The download or copy was interrupted: download or copy it again.',
    () => {
      writeFileSync(at('empty.safetensors'), '');
      return at('empty.safetensors');
    },
    () => copied(join(sdShapes, 'unet', weights), 'empty.safetensors'),
  ],
  [
    'Give its checkpoint: a single file, or the folder that holds model_index.json.',
    () => copied(join(sdShapes, 'text_encoder'), 'a text encoder'),
    () => sdShapes,
  ],
  [
    'It holds no model: convert again.',
    () => {
      mkdirSync(at('emptied'));
      cpSync(at('out/sdconvert.json'), at('emptied/sdconvert.json'));
      const record = JSON.parse(readFileSync(at('emptied/sdconvert.json'), 'utf8'));
      writeFileSync(at('emptied/sdconvert.json'), JSON.stringify({ ...record, artifacts: {} }));
      return at('emptied');
    },
    async () => {
      await run(['convert', '--model-version', sdShapes, '-o', at('emptied'), '--target', 'onnx']);
      return at('emptied');
    },
  ],
];

describe('what inspect advises in words helps', () => {
  test.each(told)('%s', async (words, path, follow) => {
    const found = await inspect({ path: await path() });
    expect(found.next).toEqual({ advice: words });
    const mended = await inspect({ path: await follow() });
    expect(mended.next).toHaveProperty('command');
  });
});

/** A shard of sd-shapes’ UNet, whose other shard and index are beside it. */
async function sharded(): Promise<string> {
  const tensors = [...(await readTensors(join(sdShapes, 'unet', weights)))].map(([name, tensor]) => ({
    name,
    ...tensor,
  }));
  const half = Math.floor(tensors.length / 2);
  const shards = [tensors.slice(0, half), tensors.slice(half)];
  const entries: [string, string][] = [];
  for (const [index, shard] of shards.entries()) {
    const name = `diffusion_pytorch_model-0000${index + 1}-of-00002.safetensors`;
    await writeSafetensors(at('sharded', name), shard);
    entries.push(...shard.map((tensor): [string, string] => [tensor.name, name]));
  }
  const map = JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(entries) });
  writeFileSync(at('sharded/diffusion_pytorch_model.safetensors.index.json'), map);
  return at('sharded/diffusion_pytorch_model-00001-of-00002.safetensors');
}

/** A textual inversion for sd-shapes. */
async function inversion(): Promise<string> {
  const tensor = { name: '<moss>', dtype: 'f32', shape: [1, 64], data: new Float32Array(64) } as const;
  await writeSafetensors(at('moss.safetensors'), [tensor]);
  return at('moss.safetensors');
}

function plain(): Placeholders {
  return { CHECKPOINT: at('plain checkpoint') };
}

function wide(): Placeholders {
  return { CHECKPOINT: wideFolder };
}

/** sd-shapes without one of its parts. */
function without(part: string): string {
  const folder = copied(sdShapes, `without ${part}`);
  rmSync(join(folder, part), { recursive: true });
  return folder;
}

function downloads(): string {
  copied(join(sdShapes, 'unet', weights), 'downloads', 'unet.safetensors');
  return at('downloads');
}

/** Inputs of the ControlNet in test/fixtures/drawing, all zero. */
async function controlNetInputs(rows: number): Promise<Placeholders> {
  const shapes = {
    sample: [rows, 4, SIDE / 8, SIDE / 8],
    timestep: [rows],
    encoder_hidden_states: [rows, 77, 12],
    controlnet_cond: [rows, 3, SIDE, SIDE],
  };
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    return { name, dtype: 'f32', shape, data } as const;
  });
  await writeSafetensors(at('control.safetensors'), tensors);
  return { CHECKPOINT: at('plain checkpoint'), 'INPUTS.safetensors': at('control.safetensors') };
}

/** A folder of ControlNets, as packages. */
async function controlNetAlone(): Promise<string> {
  const controlnets = [join(fixtures, 'drawing/controlnet')];
  const output = at('controls alone');
  const sizes = { latentHeight: SIDE / 8, latentWidth: SIDE / 8 };
  const shared = { modelVersion: at('plain checkpoint'), output, sizes, bundle: false } as const;
  await convertCheckpoint({ ...shared, models: [], controlnets, targets: ['coreml'] });
  return output;
}

function xlWithoutEncoder(): string {
  const folder = copied(at('xl onnx float32'), 'xl without encoder');
  rmSync(join(folder, 'onnx/text_encoder_2'), { recursive: true });
  rmSync(join(folder, 'sdconvert.json'));
  return folder;
}

function hubCache(): string {
  copied(sdShapes, 'hub', 'models--org--shapes', 'snapshots', 'abc');
  const folder = at('hub/models--org--shapes');
  mkdirSync(join(folder, 'refs'));
  writeFileSync(join(folder, 'refs/main'), 'abc');
  return folder;
}

/** A folder with one of the models that a conversion wrote. */
function part(name: string): string {
  copied(at('out', name), `parts of ${dirname(name)}`, name);
  return at(`parts of ${dirname(name)}`);
}

async function chunked(artifact: string): Promise<string> {
  const [chunk] = await chunkArtifact({ artifact, maxChunkBytes: CHUNK_BYTES });
  return chunk?.path ?? '';
}

async function quantized(artifact: string, output: string): Promise<string> {
  await quantizeArtifact({ artifact, output, plan: planQuantization({ bits: 8, mode: 'linear' }) });
  return output;
}

async function recordedRun(): Promise<string> {
  const record = at('recorded.safetensors');
  const inputs = await readTensors(golden('vae_decoder'));
  await runArtifacts({ artifacts: [at('out/onnx/vae_decoder')], inputs, record });
  return record;
}

/** Doubles x [2]. */
async function smallModel(): Promise<string> {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f32', shape: [2] });
  const model = buildOnnxModel(builder.finish([{ name: 'y', tensor: add(x, x) }]), {});
  await writeOnnx(model, at('double'), () => {});
  const tensor = { dtype: 'f32', shape: [2], data: Float32Array.of(1, 2) } as const;
  await writeSafetensors(at('inputs.safetensors'), [{ name: 'x', ...tensor }]);
  return at('double');
}
