import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from '../../src/commands/inspect.ts';
import { openWeightFile } from '../../src/weights/weight-file.ts';
import type { Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { drainWeights } from './attempts.ts';
import { mutateGgufNumbers } from './gguf-numbers.ts';
import { mutateInstructions } from './pickle-instructions.ts';
import { mutateHeader } from './safetensors-header.ts';
import { eachFile } from './seeds.ts';
import { mutateEntries, mutateEntry, mutateZipNumbers } from './zip-entries.ts';

/** Opens the only file of a folder as weights, reads their numbers, and has it described. */
async function readWeights(folder: string): Promise<void> {
  const [name = ''] = readdirSync(folder);
  const path = join(folder, name);
  await inspect({ path });
  const file = await openWeightFile(path);
  try {
    await drainWeights(file.weights.values());
  } finally {
    await file.close();
  }
}

export const safetensors: Format = {
  name: 'safetensors',
  seeds: async () => [
    ...eachFile('test/fixtures/scaled', /(comfy|diffusers|by-channel|int8|first)\.safetensors$/),
    ...eachFile('test/fixtures/textual-inversion', /\.safetensors$/),
    ...eachFile('test/fixtures/torch', /^tensors\.safetensors$/),
  ],
  parts: [{ files: /./, mutators: [mutateHeader, mutateHeader, mutateHeader, mutateBytes] }],
  read: readWeights,
};

export const torchZip: Format = {
  name: 'torch zip',
  seeds: async () => [
    ...eachFile('test/fixtures/torch', /^(zip|protocol-[45]|lightning)\./, () => 'model.ckpt'),
    ...eachFile('test/fixtures/textual-inversion', /\.(pt|bin)$/, () => 'embedding.pt'),
  ],
  parts: [
    { files: /./, mutators: [mutateZipNumbers, mutateZipNumbers, mutateEntries, mutateEntries, mutateBytes] },
  ],
  read: readWeights,
};

export const pickle: Format = {
  name: 'pickle',
  seeds: torchZip.seeds,
  parts: [
    { files: /./, mutators: [mutateEntry(/\.pkl$/, [mutateInstructions, mutateInstructions, mutateBytes])] },
  ],
  read: readWeights,
};

export const torchLegacy: Format = {
  name: 'torch legacy',
  seeds: async () => eachFile('test/fixtures/torch', /^(legacy|protocol-1)\./, () => 'model.bin'),
  parts: [{ files: /./, mutators: [mutateInstructions, mutateInstructions, mutateBytes] }],
  read: readWeights,
};

export const gguf: Format = {
  name: 'GGUF',
  seeds: async () => eachFile('test/fixtures/gguf', /\.gguf$/),
  parts: [{ files: /./, mutators: [mutateGgufNumbers, mutateGgufNumbers, mutateGgufNumbers, mutateBytes] }],
  read: readWeights,
};
