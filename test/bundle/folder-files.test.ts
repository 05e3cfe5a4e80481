import { expect, test } from 'vitest';
import { fileForClient } from '../../src/bundle/profiles/folder-files.ts';
import { guernikaMetadata } from '../../src/bundle/profiles/guernika-metadata.ts';
import { profiles } from '../../src/bundle/profiles/profiles.ts';
import type { ModelDescription } from '../../src/formats/coreml/mil/mil-schema.ts';

/** Has no text: what takes it for one throws. */
const strange = { toString: 1 };

test('a model_index.json whose classes are no names is for a client what it was', () => {
  const index = { _class_name: strange, unet: ['diffusers', strange], scheduler: ['diffusers', strange] };
  expect(fileForClient(profiles.openvino, 'model_index.json', index)).toMatchObject({
    unet: ['diffusers', strange],
  });
});

test('settings of a scheduler that are no texts or numbers do not become metadata', () => {
  const scheduler = { prediction_type: strange, timestep_spacing: 'leading', steps_offset: 1 };
  // as: nothing else of a description is read.
  const description = { input: [], output: [] } as unknown as ModelDescription;
  const metadata = guernikaMetadata(scheduler)({ network: 'unet' }, description);
  expect(metadata).toMatchObject({ timestep_spacing: 'leading', steps_offset: '1' });
  expect(metadata).not.toHaveProperty('prediction_type');
});
