import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { convert, type Model, networksOf } from '../../src/convert/convert.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import type { TargetName } from '../../src/formats/format.ts';
import { targets } from '../../src/formats/targets.ts';
import { formatShape } from '../../src/graph/shape.ts';
import { dtypeName } from '../../src/weights/dtype.ts';
import { fullSizeCheckpoint } from '../../test/support/full-size.ts';
import { code, table } from './markdown.ts';

/** docs/models.md: how apps load what is written, and every input and output, from the graphs that contracts give. */
export function modelsPage(): string {
  const families: readonly (readonly [title: string, checkpoint: Checkpoint])[] = [
    ['Stable Diffusion 1.5', withControlNet(fullSizeCheckpoint('sd15'), 'controlnet-sd15')],
    ['Stable Diffusion XL', fullSizeCheckpoint('sdxl')],
  ];
  const bordersOf = (target: TargetName): string =>
    families.map(([title, checkpoint]) => `#### ${title}\n\n${borderTable(checkpoint, target)}`).join('\n');
  const sections = [
    '# Using what is written',
    `The tables are written by \`npm run docs\` from the graphs themselves. \`sdconvert inspect MODEL\` shows the same of a model of
yours, with its own sizes.`,
    '## Mochi Diffusion',
    `Put the folder \`Resources\` into Mochi’s folder of models, under the name that it is to have there:

    sdconvert ./sd15 --target coreml -o out
    cp -R out/Resources ~/MochiDiffusion/models/sd15_split-einsum

\`--attention SPLIT_EINSUM\` (the default for Core ML) is for the Neural Engine, \`ORIGINAL\` for the GPU. Image to image needs the VAE encoder, which
is converted unless it is left out. ControlNets lie in \`Resources/controlnet\`, and need a UNet made with
\`--unet-support-controlnet\`.`,
    '## A Swift app',
    `Apple’s package [ml-stable-diffusion](https://github.com/apple/ml-stable-diffusion) loads \`Resources\` as it is:

    let pipeline = try StableDiffusionPipeline(resourcesAt: URL(filePath: "out/Resources"), controlNet: [])
    try pipeline.loadResources()
    let images = try pipeline.generateImages(configuration: .init(prompt: "a lighthouse at dusk"))

For iPhones add \`--chunk-unet\` (two chunks, which the package loads by itself) and fewer bits (\`--quantize-nbits 6\`). A VAE with
another scaling factor than 0.18215 is noted by convert: set \`encoderScaleFactor\` and \`decoderScaleFactor\` to it.`,
    '## onnxruntime in Node',
    `\`onnx/\` also loads with \`optimum\` in Python. In Node, each network is a session:

    import { InferenceSession, Tensor } from 'onnxruntime-node';
    const unet = await InferenceSession.create('out/onnx/unet/model.onnx');
    const { out_sample } = await unet.run({
      sample: new Tensor('float32', new Float32Array(2 * 4 * 64 * 64), [2, 4, 64, 64]),
      timestep: new Tensor('float32', [981], []),
      encoder_hidden_states: new Tensor('float32', new Float32Array(2 * 77 * 768), [2, 77, 768]),
    });

\`generate\` does all of it, and the library’s \`createScheduler\`, \`ClipTokenizer\` and \`createRng\` are the rest of a pipeline ([api.md](api.md)).`,
    '## onnxruntime in a browser',
    `\`onnxruntime-web\` loads the same files. Weights beside the model (\`model.onnx_data\`) are named when it is loaded, since a browser
cannot look for them:

    const unet = await InferenceSession.create('onnx/unet/model.onnx', {
      executionProviders: ['webgpu', 'wasm'],
      externalData: [{ path: 'model.onnx_data', data: 'onnx/unet/model.onnx_data' }],
    });

Inputs and outputs are float32 whatever the weights are; \`--quantize-nbits\` and \`--chunk-unet\` make files that a browser can hold.`,
    '## Inputs and outputs',
    'A name in a shape is a size that may be any; the others are those of the checkpoint. Of names that are numbered, the first and the\nlast are shown.',
    '### ONNX',
    bordersOf('onnx'),
    '### Core ML',
    `Text is (B, C, 1, S). A batch of 2 is the prompt beside the negative prompt; \`--unet-batch-one\` makes it 1.`,
    bordersOf('coreml'),
  ];
  return `${sections.map((section) => section.trim()).join('\n\n')}\n`;
}

/** A row for each input and output of every network. */
function borderTable(checkpoint: Checkpoint, target: TargetName): string {
  const { contract, attention } = targets[target];
  const names: readonly NetworkName[] = [
    ...new Set([
      ...networksOf(checkpoint),
      ...([...checkpoint.components.keys()].some((name) => name.startsWith('controlnet'))
        ? networksOf(checkpoint, { controlledUnet: true })
        : []),
    ]),
  ];
  const models = names.flatMap((name) =>
    convert(checkpoint, { contract, attention, models: [name], sizes: {} }),
  );
  return table([['network', '', 'name', 'dtype', 'shape'], ...models.flatMap(rowsOf)]);
}

/** Of those that are numbered, the first and the last stand for all. */
function rowsOf({ name, graph }: Model): string[][] {
  const inputs = graph.inputs.map((tensor) => ({ side: 'input', name: tensor.name, tensor }));
  const outputs = graph.outputs.map((output) => ({ side: 'output', ...output }));
  const rows = [...inputs, ...outputs].map(({ side, name: port, tensor: { dtype, shape } }) => [
    side,
    code([port]),
    dtypeName(dtype),
    formatShape(shape),
  ]);
  const stemOf = ([, port = '']: readonly string[]) => port.replace(/\d+`$/, '#');
  const alike = Map.groupBy(rows, stemOf);
  const shown = rows.filter((row) => {
    const group = alike.get(stemOf(row)) ?? [];
    return row === group[0] || row === group.at(-1);
  });
  return shown.map((row, at) => [at === 0 ? code([name]) : '', ...row]);
}

function withControlNet(checkpoint: Checkpoint, list: 'controlnet-sd15'): Checkpoint {
  const components = new Map([...checkpoint.components, ...fullSizeCheckpoint(list).components]);
  return { ...checkpoint, components };
}
