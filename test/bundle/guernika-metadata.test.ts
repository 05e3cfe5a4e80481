import { expect, test } from 'vitest';
import { guernikaMetadata } from '../../src/bundle/profiles/guernika-metadata.ts';
import type { ModelDescription } from '../../src/formats/coreml/mil/mil-schema.ts';

/** A UNet with these shapes of inputs. */
function unet(shapes: Readonly<Record<string, readonly number[]>>): Readonly<Record<string, string>> {
  const input = Object.entries(shapes).map(([name, shape]) => ({
    name,
    type: { multiArrayType: { shape } },
  }));
  // as: all that is read of a description
  return guernikaMetadata(undefined)({ network: 'unet' }, {
    input,
    output: [],
  } as unknown as ModelDescription);
}

test('a UNet is a refiner by what it reads, however it is called', () => {
  const text = { encoder_hidden_states: [2, 1280, 1, 77] };
  expect(unet({ ...text, time_ids: [2, 5] })).toMatchObject({
    requires_aesthetics_score: 'true',
    hidden_size: '1280',
  });
  for (const other of [text, { ...text, time_ids: [2, 6] }, { ...text, time_ids: [12] }])
    expect(unet(other).requires_aesthetics_score).toBe('false');
});
