import { expect, test } from 'vitest';
import { appleContract } from '../../../../src/convert/contracts/apple.ts';
import { convert } from '../../../../src/convert/convert.ts';
import { describeModel } from '../../../../src/formats/coreml/build/describe-model.ts';
import { fullSizeCheckpoint } from '../../../support/full-size.ts';

test.each([
  ['sd15', 'sd15'],
  ['sdxl', 'sdxl'],
  ['sd15 with a ControlNet', 'controlled'],
] as const)('every input and output of every model of %s has a text', (_, which) => {
  const sizes = { latentHeight: 64, latentWidth: 64 };
  const options = { contract: appleContract, attention: 'ORIGINAL', sizes } as const;
  const [checkpoint, controlledUnet] =
    which === 'controlled' ? [fullSizeCheckpoint('sd15'), true] : [fullSizeCheckpoint(which), false];
  for (const { name, graph } of convert(checkpoint, { ...options, controlledUnet })) {
    const outputs = graph.outputs.map((feature) => feature.name);
    const { features } = describeModel(name, 'some/model', { license: 'OpenRAIL', outputs });
    const without = [...graph.inputs.map((feature) => feature.name), ...outputs].filter(
      (each) => !features[each],
    );
    // Apple gives a UNet's residuals none.
    expect(
      without.filter((each) => name !== 'control-unet' || !/^additional_residual_/.test(each)),
      name,
    ).toEqual([]);
  }
});

test('a ControlNet’s outputs have a text, however many there are', () => {
  const { features } = describeModel('controlnet_1', 'some/canny', {
    license: 'OpenRAIL',
    outputs: ['additional_residual_12'],
  });
  expect(features.additional_residual_12).toMatch(/^To be added to what the UNet keeps/);
});

test('the description says which model it is, who made it and under which licence', () => {
  expect(
    describeModel('unet', 'some/model', { license: 'OpenRAIL', userDefined: { key: 'value' } }),
  ).toMatchObject({
    version: 'some/model',
    author: 'Please refer to the Model Card available at huggingface.co/some/model',
    license: 'OpenRAIL',
    userDefined: { key: 'value' },
  });
  expect(
    describeModel('refiner', 'some/refiner', { license: 'OpenRAIL++-M', modelVersion: 'some/model' }),
  ).toMatchObject({
    version: 'some/refiner',
    author: 'Please refer to the Model Card available at huggingface.co/some/model',
    license: 'OpenRAIL++-M',
  });
});
