import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from '../../src/commands/inspect.ts';
import type { Artifact } from '../../src/formats/artifact.ts';
import { openMlModelC } from '../../src/formats/coreml/compiled/read-bundle.ts';
import type { MilModel } from '../../src/formats/coreml/mil/mil-model.ts';
import { openMlPackage } from '../../src/formats/coreml/package/read-package.ts';
import { milToOnnx } from '../../src/formats/coreml/to-onnx/to-onnx.ts';
import { withArtifact } from '../../src/formats/open.ts';
import { writeFiles } from '../../src/formats/write-files.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import type { Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';
import { mutateProtobuf } from '../mutate-protobuf.ts';
import { mutateWords } from '../mutate-text.ts';
import { compiledSeeds, onnxSeeds, packageSeeds } from './artifact-seeds.ts';
import { attempts, drainStreams, refusable } from './attempts.ts';
import { mutateContainer } from './coremldata.ts';
import { mutateExternalData } from './external-data.ts';
import { mutateRecords } from './weight-records.ts';

/** Describes a model and sizes it, as `inspect` and every command begin. */
async function readArtifact(path: string): Promise<void> {
  await withArtifact(path, async (artifact) =>
    attempts([
      () => inspect({ path }),
      () => artifact.facts(),
      () => artifact.byteLength(),
      async () => (await artifact.open()).files(),
    ]),
  );
}

/** Quantises a model, writes it, and cuts it: what may be refused for an intact one, too. */
async function rewriteArtifact(path: string): Promise<void> {
  await withArtifact(path, async (artifact) => {
    const model = await artifact.open();
    const plan = planQuantization({ bits: 4, weights: ['*conv*'] });
    await attempts([
      refusable(() => write(model.rewritten(plan).artifact, join(path, 'quantized'))),
      refusable(() => model.cut(20_000)),
      () => write(model, join(path, 'written')),
    ]);
  });
}

async function write(artifact: Artifact, folder: string): Promise<void> {
  await writeFiles(folder, await artifact.contents(), () => {});
}

/** Describes a Core ML model and translates it to be run, its compressed weights decoded. */
async function readCoreMl(folder: string): Promise<void> {
  await attempts([() => readArtifact(folder), () => translate(folder)]);
}

async function translate(folder: string): Promise<void> {
  const open: (path: string) => Promise<MilModel> = existsSync(join(folder, 'model.mil'))
    ? openMlModelC
    : openMlPackage;
  const model = await open(folder);
  try {
    const places = { dataFolder: folder, decodedFolder: join(folder, 'decoded') };
    const { dataFiles } = await milToOnnx(model, { roundToFloat16: true, ...places });
    await drainStreams(dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => tensor)));
  } finally {
    await model.close();
  }
}

export const onnx: Format = {
  name: 'ONNX',
  seeds: () => onnxSeeds(/\.onnx$/),
  parts: [{ files: /\.onnx$/, mutators: [mutateProtobuf, mutateProtobuf, mutateProtobuf, mutateBytes] }],
  read: readArtifact,
};

export const onnxRewriting: Format = { ...onnx, name: 'ONNX rewriting', read: rewriteArtifact };

export const externalData: Format = {
  name: 'external data',
  seeds: () => onnxSeeds(/model\.onnx/),
  parts: [
    { files: /\.onnx$/, mutators: [mutateExternalData] },
    { files: /_data/, mutators: [mutateBytes] },
  ],
  read: rewriteArtifact,
};

export const milProtobuf: Format = {
  name: 'MIL protobuf',
  seeds: () => packageSeeds(/\.mlmodel$/),
  parts: [{ files: /\.mlmodel$/, mutators: [mutateProtobuf, mutateProtobuf, mutateProtobuf, mutateBytes] }],
  read: readCoreMl,
};

export const milRewriting: Format = { ...milProtobuf, name: 'MIL rewriting', read: rewriteArtifact };

export const milText: Format = {
  name: 'MIL text',
  seeds: () => compiledSeeds(/\.mil$/),
  parts: [
    {
      files: /\.mil$/,
      mutators: [
        mutateWords(['tensor<fp16, [2]>', 'BLOBFILE', 'const()', 'list<', 'dict<', 'func', '->', '[', '(']),
        mutateBytes,
      ],
    },
  ],
  read: readCoreMl,
};

export const weightFile: Format = {
  name: 'weight.bin',
  seeds: () => packageSeeds(/weight\.bin$/),
  parts: [{ files: /weight\.bin$/, mutators: [mutateRecords, mutateRecords, mutateBytes] }],
  read: readCoreMl,
};

export const coremldata: Format = {
  name: 'coremldata',
  seeds: () => compiledSeeds(/^coremldata\.bin$/),
  parts: [{ files: /^coremldata\.bin$/, mutators: [mutateContainer, mutateContainer, mutateBytes] }],
  read: readCoreMl,
};

export const manifest: Format = {
  name: 'manifest',
  seeds: () => packageSeeds(/Manifest\.json$/),
  parts: [{ files: /Manifest\.json$/, mutators: [mutateJson, mutateJson, mutateJson, mutateBytes] }],
  read: readArtifact,
};
