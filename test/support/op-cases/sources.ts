import { constant, type Rows, w, x } from './op-case.ts';

/** The tensors that nothing computes, given out as they are. */
export const sources: Rows<'input' | 'weight' | 'constant'> = {
  input: [
    {
      attributes: {},
      operands: [x(2, 3)],
      type: 'f32 [2, 3]',
      written: { onnx: 'y = Identity(x0)', coreml: 'y = identity(x=x0): fp32 [2, 3]', coreai: 'y = x0' },
      reference: ({ all }) => [...all],
    },
  ],
  weight: [
    {
      attributes: {},
      operands: [w(2, 3)],
      type: 'f32 [2, 3]',
      written: {
        onnx: 'y = Identity(w0)',
        coreml: 'y = identity(x=fp32 [2, 3] in the program): fp32 [2, 3]',
        coreai: 'y = w0 [2, 3]',
      },
      reference: ({ all }) => [...all],
    },
  ],
  constant: [
    {
      attributes: {},
      operands: [constant([3], [1, 0.5, -2])],
      type: 'f32 [3]',
      written: {
        onnx: '',
        coreml: 'y = identity(x=fp32 [1, 0.5, -2]): fp32 [3]',
        coreai: 'y = [1, 0.5, -2]',
      },
      reference: ({ all }) => [...all],
    },
  ],
};
