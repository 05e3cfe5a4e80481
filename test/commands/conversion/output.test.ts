import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ownerOf } from '../../../src/commands/conversion/output.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();

test('folders without files, as a run on a full disk may leave, are nobody’s', async () => {
  mkdirSync(at('out/onnx/unet'), { recursive: true });
  expect((await ownerOf(at('out'), 'sd', [])).obstacle).toBeUndefined();
  writeFileSync(at('out/onnx/unet/notes.txt'), '');
  expect((await ownerOf(at('out'), 'sd', [])).obstacle?.problem).toContain(
    'holds files that sdconvert did not write: onnx',
  );
});
