import { join } from 'node:path';
import { exampleManifest } from '../../src/fleet/example-manifest.ts';
import { planItems } from '../../src/fleet/plan-items.ts';
import { readManifest } from '../../src/fleet/read-manifest.ts';
import { exists } from '../../src/io/disk.ts';
import type { Files, Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateWords } from '../mutate-text.ts';
import { bytesOf } from './seeds.ts';

const full = {
  output: 'out',
  options: { targets: ['onnx'], floor: 40, sizes: { latentHeight: 64 }, reference: 'float32' },
  variants: { a: null, b: { bits: 4, mode: 'linear', clients: ['optimum'] } },
  sources: ['org/name', { source: 'org/other', name: 'x', revision: 'main', loras: ['org/style:0.5'] }],
};

/** Manifests of `sdconvert batch`, up to their items. */
export const batchManifests: Format = {
  name: 'batch manifests',
  seeds: async (): Promise<Files[]> => [
    new Map([['batch.yaml', bytesOf(exampleManifest)]]),
    new Map([['batch.json', bytesOf(JSON.stringify(full))]]),
  ],
  parts: [
    {
      files: /yaml$/,
      mutators: [
        mutateWords(['&a', '*a', '!!js/function', '<<:', '- ', '{', '[', '|', '---\n']),
        mutateBytes,
      ],
    },
    { files: /json$/, mutators: jsonMutators },
  ],
  async read(folder) {
    for (const name of ['batch.yaml', 'batch.json']) {
      const path = join(folder, name);
      if (await exists(path)) await planItems(await readManifest(path));
    }
  },
};
