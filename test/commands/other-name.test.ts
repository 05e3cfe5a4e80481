import { cpSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

test.each(['coreai', 'onnx'] as const)(
  'the same weights under a longer name find their %s models made, whose files may have the name in them',
  async (target) => {
    const output = at(`out ${target}`);
    const convert = (modelVersion: string) =>
      convertCheckpoint({ modelVersion, output, targets: [target], models: ['vae_decoder'], bundle: false });
    for (const name of ['m', 'a-longer-name']) cpSync(sdShapes, at(name), { recursive: true });
    const [made] = (await convert(at('m'))).artifacts;
    const placeOf = (path = '') => statSync(join(output, path)).ino;
    const before = placeOf(made?.path);
    const [again] = (await convert(at('a-longer-name'))).artifacts;
    expect(again?.path).toBe(made?.path);
    expect(placeOf(again?.path)).toBe(before);
  },
);
