import { join } from 'node:path';
import { inspect } from '../../src/commands/inspect.ts';
import type { Artifact } from '../../src/formats/artifact.ts';
import { compileMlPackage } from '../../src/formats/coreml/compiled/compile.ts';
import { withArtifact } from '../../src/formats/open.ts';
import { writeFiles } from '../../src/formats/write-files.ts';
import { inspectArtifact } from '../../src/inspect/inspect-artifact.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import type { Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateProtobuf } from '../mutate-protobuf.ts';
import { mutateWords } from '../mutate-text.ts';
import { assetSeeds, compiledSeeds, onnxSeeds, packageSeeds } from './artifact-seeds.ts';
import { attempts, drainStreams, refusable } from './attempts.ts';
import { mutateBytecode } from './coreai-bytecode.ts';
import { mutateContainer } from './coremldata.ts';
import { mutateExternalData } from './external-data.ts';
import { mutateRecords } from './weight-records.ts';

/** Describes a model, sizes it and has it ready to run, its compressed weights decoded, as commands begin. */
async function readArtifact(path: string): Promise<void> {
  await withArtifact(path, (artifact) =>
    attempts([
      () => inspectArtifact(artifact),
      () => artifact.byteLength(),
      async () => (await artifact.open()).files(),
      async () => {
        const { model } = await artifact.runnable({ roundToFloat16: true });
        await drainStreams(model.dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => tensor)));
      },
    ]),
  );
}

/** The same of what may not even be found to be a model. */
async function findArtifact(path: string): Promise<void> {
  await attempts([() => inspect({ path }), () => readArtifact(path)]);
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

/** Rewrites a package, and compiles it. */
async function rewritePackage(path: string): Promise<void> {
  await attempts([
    () => rewriteArtifact(path),
    () => compileMlPackage(path, join(path, 'compiled.mlmodelc')),
  ]);
}

async function write(artifact: Artifact, folder: string): Promise<void> {
  await writeFiles(folder, await artifact.contents(), () => {});
}

export const onnx: Format = {
  name: 'ONNX',
  seeds: onnxSeeds,
  parts: [{ files: /\.onnx$/, mutators: [mutateProtobuf, mutateProtobuf, mutateProtobuf, mutateBytes] }],
  read: readArtifact,
};

export const onnxRewriting: Format = { ...onnx, name: 'ONNX rewriting', read: rewriteArtifact };

export const externalData: Format = {
  name: 'external data',
  seeds: onnxSeeds,
  parts: [
    { files: /\.onnx$/, mutators: [mutateExternalData] },
    { files: /_data/, mutators: [mutateBytes] },
  ],
  read: rewriteArtifact,
};

export const milProtobuf: Format = {
  name: 'MIL protobuf',
  seeds: packageSeeds,
  parts: [{ files: /\.mlmodel$/, mutators: [mutateProtobuf, mutateProtobuf, mutateProtobuf, mutateBytes] }],
  read: readArtifact,
};

export const milRewriting: Format = { ...milProtobuf, name: 'MIL rewriting', read: rewritePackage };

export const milText: Format = {
  name: 'MIL text',
  seeds: compiledSeeds,
  parts: [
    {
      files: /\.mil$/,
      mutators: [
        mutateWords(['tensor<fp16, [2]>', 'BLOBFILE', 'const()', 'list<', 'dict<', 'func', '->', '[', '(']),
        mutateBytes,
      ],
    },
  ],
  read: readArtifact,
};

export const weightFile: Format = {
  name: 'weight.bin',
  seeds: packageSeeds,
  parts: [{ files: /weight\.bin$/, mutators: [mutateRecords, mutateRecords, mutateBytes] }],
  read: readArtifact,
};

export const coremldata: Format = {
  name: 'coremldata',
  seeds: compiledSeeds,
  parts: [{ files: /^coremldata\.bin$/, mutators: [mutateContainer, mutateContainer, mutateBytes] }],
  read: findArtifact,
};

export const manifest: Format = {
  name: 'manifest',
  seeds: packageSeeds,
  parts: [{ files: /Manifest\.json$/, mutators: jsonMutators }],
  read: findArtifact,
};

export const bytecode: Format = {
  name: 'Core AI bytecode',
  seeds: assetSeeds,
  parts: [{ files: /\.mlirb$/, mutators: [mutateBytecode, mutateBytecode, mutateBytecode, mutateBytes] }],
  read: findArtifact,
};

export const bytecodeRewriting: Format = { ...bytecode, name: 'Core AI rewriting', read: rewriteArtifact };

export const assetMetadata: Format = {
  name: 'Core AI metadata',
  seeds: assetSeeds,
  parts: [{ files: /metadata\.json$/, mutators: jsonMutators }],
  read: readArtifact,
};
