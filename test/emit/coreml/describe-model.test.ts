import { expect, test } from 'vitest';
import { appleContract } from '../../../src/convert/contracts/apple.ts';
import { convert } from '../../../src/convert/convert.ts';
import { describeModel } from '../../../src/emit/coreml/describe-model.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';

test('every input and output of every model has a text, and no text is for another', () => {
  const sizes = { latentHeight: 64, latentWidth: 64 };
  const options = { contract: appleContract, attention: 'ORIGINAL', sizes } as const;
  for (const { name, graph } of convert(fullSizeCheckpoint('sd15'), options)) {
    const names = [...graph.inputs, ...graph.outputs].map((feature) => feature.name);
    expect(Object.keys(describeModel(name, 'some/model').features).sort(), name).toEqual(names.sort());
  }
});

test('the description says which model it is, who made it and under which licence', () => {
  expect(describeModel('unet', 'some/model', { key: 'value' })).toMatchObject({
    version: 'some/model',
    author: 'Please refer to the Model Card available at huggingface.co/some/model',
    license: 'OpenRAIL (https://huggingface.co/spaces/CompVis/stable-diffusion-license)',
    userDefined: { key: 'value' },
  });
});
