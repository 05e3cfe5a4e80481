import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTensors } from '../../src/weights/read-tensors.ts';
import { golden, sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const at = temporaryFolder();

test('the first program of the library’s page converts, runs and draws', { timeout: 180_000 }, async () => {
  const page = readFileSync(join(root, 'docs/api.md'), 'utf8');
  const [, program = ''] = /```ts\n(.*?)```/s.exec(page) ?? [];
  const changed = program
    .replace("from 'sdconvert'", `from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url))}`)
    .replace("'./sd15'", JSON.stringify(sdShapes))
    .replace('steps: 30', "steps: 2, output: 'pictures'");
  writeFileSync(at('program.ts'), changed);
  writeFileSync(at('package.json'), '{"type":"module"}');
  writeFileSync(at('inputs.safetensors'), readFileSync(golden('unet.t501')));
  const printed = execFileSync(process.execPath, ['program.ts'], { cwd: at(), encoding: 'utf8' });
  expect(printed).toContain("[ 'text_encoder', 'unet', 'vae_decoder', 'vae_encoder' ]");
  expect(printed).toMatch(/pictures\S+\.png\n$/);
  expect([...(await readTensors(at('outputs.safetensors'))).keys()]).toEqual(['out_sample']);
  expect([...(await readTensors(at('reference.safetensors'))).keys()]).toContain('encoder_hidden_states');
});
