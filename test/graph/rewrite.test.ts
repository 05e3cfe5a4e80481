import { expect, test } from 'vitest';
import { add, cast, scale, silu } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { printGraph } from '../../src/graph/print.ts';
import { copyInto, rewrite } from '../../src/graph/rewrite.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { unreadWeight } from '../support/memory-weight.ts';

const type = { dtype: 'f32', shape: [2, 3] } as const;
const builder = new GraphBuilder();
const [a, b] = [builder.input('a', type), builder.input('b', type)];
const weight = builder.weight(unreadWeight('w', [6]), type);
const graph = builder.finish([
  { name: 'y', tensor: silu(scale(add(b, weight), 0.5)) },
  { name: 'z', tensor: a },
]);

test('copied, a graph is the same in another builder', () => {
  const copy = rewrite(graph, copyInto);
  verifyGraph(copy);
  expect(printGraph(copy)).toBe(printGraph(graph));
  for (const tensor of copy.tensors) expect(graph.tensors).not.toContain(tensor);
});

test('what is replaced is replaced everywhere, and inputs and outputs keep their names, order and dtypes', () => {
  const halved = rewrite(graph, (to, tensor, inputs) => {
    if (tensor.op.kind === 'input') return cast(copyInto(to, tensor, []), 'f16');
    if (tensor.op.kind === 'weight' || tensor.op.kind === 'constant')
      return copyInto(to, { ...tensor, dtype: 'f16' }, []);
    return copyInto(to, tensor, inputs);
  });
  verifyGraph(halved);
  expect(printGraph(halved)).toMatchInlineSnapshot(`
    "input a: f32 [2, 3]
    a/cast = cast(a) to=f16: f16 [2, 3]
    input b: f32 [2, 3]
    b/cast = cast(b) to=f16: f16 [2, 3]
    b/add = add(b/cast, w f16 [2, 3]): f16 [2, 3]
    b/mul = mul(b/add, 0.5): f16 [2, 3]
    b/silu = silu(b/mul): f16 [2, 3]
    b/cast_2 = cast(b/silu) to=f32: f32 [2, 3]
    a/cast_2 = cast(a/cast) to=f32: f32 [2, 3]
    return y = b/cast_2
    return z = a/cast_2"
  `);
});
