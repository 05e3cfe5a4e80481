import { cpSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import type { ProgressEvent } from '../../../src/context.ts';
import { FileFormatError } from '../../../src/errors.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { writeSmallLora } from '../../support/small-lora.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

test.each(['text_encoder/model.safetensors', 'text_encoder/config.json'])(
  '%s that is replaced while it is read is no source on record',
  async (source) => {
    cpSync(sdShapes, at('checkpoint'), { recursive: true });
    cpSync(join(sdShapes, source), at('other'));
    let isReplaced = false;
    const error = await rejectionOf(
      convertCheckpoint(
        { modelVersion: at('checkpoint'), output: at('out'), models: ['text_encoder'], targets: ['onnx'] },
        {
          onProgress(event) {
            if (isReplaced || event.type !== 'progress' || event.stage !== 'write') return;
            renameSync(at('other'), at('checkpoint', source));
            isReplaced = true;
          },
        },
      ),
    );
    expect(isReplaced).toBe(true);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain('was replaced or changed while it was read');
    expect(existsSync(at('out'))).toBe(false);
  },
);

test('a LoRA that is replaced before it is hashed is no source on record', async () => {
  await writeSmallLora(at('lora.safetensors'));
  await writeSmallLora(at('other.safetensors'), 0.02);
  const loras = [{ path: at('lora.safetensors'), scale: 1 }];
  const onProgress = (event: ProgressEvent): void => {
    if (event.type === 'stage' && event.stage === 'open' && event.state === 'finished')
      renameSync(at('other.safetensors'), at('lora.safetensors'));
  };
  const error = await rejectionOf(
    convertCheckpoint(
      { modelVersion: sdShapes, output: at('merged'), models: ['text_encoder'], targets: ['onnx'], loras },
      { onProgress },
    ),
  );
  expect(error.problem).toBe(`${at('lora.safetensors')} was replaced or changed while it was read.`);
  expect(existsSync(at('merged'))).toBe(false);
});

test('a folder in the place of a tokenizer’s file is named, not left out', async () => {
  cpSync(sdShapes, at('folder'), { recursive: true });
  renameSync(at('folder/tokenizer/merges.txt'), at('merges'));
  cpSync(join(sdShapes, 'scheduler'), at('folder/tokenizer/merges.txt'), { recursive: true });
  const error = await rejectionOf(
    convertCheckpoint({ modelVersion: at('folder'), output: at('out2'), models: ['text_encoder'] }),
  );
  expect(error.problem).toContain('merges.txt is a folder');
});
