import { expect, test } from 'vitest';
import { finishedIn } from '../../src/fleet/finished.ts';

const file = { name: 'model.onnx', byteLength: 5, sha256: 'a' };
const artifacts = {
  onnx: { files: [{ ...file, name: 'model_index.json' }] },
  'onnx/unet': { files: [file] },
  Resources: { files: [{ ...file, name: 'Unet.mlmodelc/model.mil' }] },
};

function qualityOf(psnr: Record<string, number>, reference = 'float32') {
  const item = { id: 'x', quality: { reference, psnr } };
  return finishedIn({ item, artifacts }, { id: 'x', referenceIdentity: 'float32' })?.quality;
}

test('numbers of models that are on record are those of the item', () => {
  for (const psnr of [{ 'onnx/unet': 50 }, { 'onnx/unet': 50, 'Resources/Unet.mlmodelc': 49 }])
    expect(qualityOf(psnr)).toEqual({ reference: 'float32', psnr });
});

test('an item is measured again where its record has numbers of no model, or of models that it does not have', () => {
  for (const psnr of [{}, { 'onnx/vae': 99 }, { 'onnx/unet': 50, 'onnx/une': 99 }, { 'onnx/unet/x': 99 }])
    expect(qualityOf(psnr)).toBeUndefined();
  expect(qualityOf({ 'onnx/unet': 50 }, 'another')).toBeUndefined();
});

test('an item without a reference is finished without numbers', () => {
  const finished = finishedIn({ item: { id: 'x' }, artifacts }, { id: 'x', referenceIdentity: undefined });
  expect(finished).toEqual({ bytes: 5, quality: undefined });
});
