import type { OnnxCall } from './onnx-call.ts';

/** The gates in ONNX's order (input, output, forget, cell) by their place in Core ML's (input, forget, output, cell). */
const GATES = [0, 2, 1, 3];

/**
 * A recurrent layer that runs forwards: x [S,B,I], initial_h and initial_c [B,H], weight_ih [4H,I], weight_hh [4H,H], bias
 * [4H] → all outputs [S,B,H] or the last [1,B,H], then the last h and c [B,H].
 */
export function lstm(op: OnnxCall): void {
  const plain: readonly (readonly [parameter: string, value: string])[] = [
    ['direction', 'forward'],
    ['recurrent_activation', 'sigmoid'],
    ['cell_activation', 'tanh'],
    ['activation', 'tanh'],
  ];
  for (const [parameter, value] of plain) {
    const found = op.text(parameter, value);
    if (found !== value) throw op.refuse(`its ${parameter} is ${found}`);
  }
  for (const parameter of ['peephole', 'clip'])
    if (op.has(parameter)) throw op.refuse(`it has a ${parameter}`);

  const hidden = op.sizeOf('weight_hh', 1);
  const front = op.write.int64s([0]);
  const inFront = (value: string): string => op.step('Unsqueeze', [value, front]);
  const reordered = (parameter: string): string => {
    const all = op.operand(parameter);
    const gates = GATES.map((gate) =>
      op.step('Slice', [
        all,
        op.write.int64s([gate * hidden]),
        op.write.int64s([(gate + 1) * hidden]),
        front,
      ]),
    );
    return inFront(op.step('Concat', gates, { axis: 0 }));
  };
  // ONNX adds two biases [1, 8H]; Core ML has their sum.
  const noBias = op.step('Expand', [op.scalar(0), op.write.int64s([1, 4 * hidden])]);
  const bias = op.step('Concat', [op.has('bias') ? reordered('bias') : noBias, noBias], { axis: 1 });
  const state = (parameter: string): string => inFront(op.operand(parameter));

  const [all, last, cell] = ['all', 'last', 'cell'].map((part) => `${op.name}/${part}`);
  op.write.nodes.push({
    opType: 'LSTM',
    name: `${op.name}/LSTM`,
    input: [
      op.operand('x'),
      reordered('weight_ih'),
      reordered('weight_hh'),
      bias,
      '',
      state('initial_h'),
      state('initial_c'),
    ],
    output: [all ?? '', last ?? '', cell ?? ''],
    attribute: [{ name: 'hidden_size', type: 2, i: hidden }],
  });
  // The outputs of each direction [S,1,B,H], and the last states [1,B,H].
  if (op.flag('output_sequence')) op.result('Squeeze', [all ?? '', op.write.int64s([1])]);
  else op.result('Identity', [last ?? '']);
  op.result('Squeeze', [last ?? '', front], {}, 1);
  op.result('Squeeze', [cell ?? '', front], {}, 2);
}
