import { expect, test } from 'vitest';
import { FileFormatError } from '../../../src/errors.ts';
import { withTokensFirst } from '../../../src/formats/coreml/client-edges.ts';
import { thrownBy } from '../../support/thrown-by.ts';
import { layeredModel } from '../onnx/layered-model.ts';

const TEXT = 'encoder_hidden_states';

test('a description with a text that the program does not take is refused, by the name of the model', () => {
  const model = layeredModel();
  const { description, mlProgram } = model;
  if (!description || !mlProgram) throw new Error('a model has a description and a program');
  const functions = Object.entries(mlProgram.functions).map(([name, fn]) => [
    name,
    { ...fn, inputs: fn.inputs.filter((input) => input.name !== TEXT) },
  ]);
  const type = { isOptional: false, multiArrayType: { shape: [2, 32, 1, 77], dataType: 65568 } };
  const lying = {
    ...model,
    description: { ...description, input: [{ name: TEXT, shortDescription: '', type }] },
    mlProgram: { ...mlProgram, functions: Object.fromEntries(functions) },
  };
  const error = thrownBy(() => withTokensFirst(lying, 'x.mlpackage'));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.message).toMatch(/^x\.mlpackage contradicts itself/);
});
