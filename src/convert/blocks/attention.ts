import { concat, einsum, matmul, reshape, scale, slice, softmax, transpose } from '../../graph/functions.ts';
import { pointwise } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import { dimAt, fixedDimAt } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';

/**
 * Multi-head attention over tokens [B,C,1,S], in the three implementations of Apple's converter. All compute
 * softmax(Q·Kᵀ/√d)·V (Vaswani et al. 2017, eq. 1) and differ in how they split the work:
 *
 * - ORIGINAL: all heads in two matrix products; fastest on a CPU or GPU.
 * - SPLIT_EINSUM: one head at a time, in channels-first einsums, which the Apple Neural Engine runs well
 *   ("Deploying Transformers on the Apple Neural Engine", Apple 2022).
 * - SPLIT_EINSUM_V2: as SPLIT_EINSUM, with the queries in chunks of 512 tokens. Apple drops the tokens after the last
 *   whole chunk; here they form a shorter chunk.
 *
 * Unlike Apple's, the queries are scaled before the product, so that float16 scores cannot overflow.
 */
export const attentionImplementations = ['ORIGINAL', 'SPLIT_EINSUM', 'SPLIT_EINSUM_V2'] as const;

export type AttentionImplementation = (typeof attentionImplementations)[number];

/** Queries [B,C,1,Sq] (scaled), keys and values [B,C,1,Sk] → [B,C,1,Sq]. */
type Attend = (q: Tensor, k: Tensor, v: Tensor, heads: number) => Tensor;

const QUERY_CHUNK = 512;

const implementations: { readonly [K in AttentionImplementation]: Attend } = {
  ORIGINAL(q, k, v, heads) {
    const scores = matmul(splitHeads(q, heads), splitHeads(k, heads), { transposeA: true }); // [B,heads,Sq,Sk]
    const mixed = matmul(splitHeads(v, heads), softmax(scores, 3), { transposeB: true }); // [B,heads,d,Sq]
    return reshape(mixed, q.shape);
  },

  SPLIT_EINSUM(q, k, v, heads) {
    return concat(
      eachHead(q, k, v, heads).map((head) => attendOneHead(head.q, head.k, head.v)),
      1,
    );
  },

  SPLIT_EINSUM_V2(q, k, v, heads) {
    const tokens = fixedDimAt(q.shape, 3);
    const starts = Array.from({ length: Math.ceil(tokens / QUERY_CHUNK) }, (_, chunk) => chunk * QUERY_CHUNK);
    if (starts.length === 1) return implementations.SPLIT_EINSUM(q, k, v, heads);
    const attendInChunks = (head: Head): Tensor =>
      concat(
        starts.map((start) =>
          attendOneHead(slice(head.q, 3, start, Math.min(start + QUERY_CHUNK, tokens)), head.k, head.v),
        ),
        3,
      );
    return concat(eachHead(q, k, v, heads).map(attendInChunks), 1);
  },
};

/** Attention from x [B,C,1,S] to `context` [B,D,1,S'], which is x itself for self-attention. Throws `ShapeError`. */
export function attention(
  at: Scope,
  x: Tensor,
  context: Tensor,
  { heads, implementation }: { heads: number; implementation: AttentionImplementation },
): Tensor {
  const bias = at.has('to_q.bias'); // the VAE's projections have a bias, the UNet's have none
  const q = pointwise(at.in('to_q'), x, { bias });
  const k = pointwise(at.in('to_k'), context, { bias });
  const v = pointwise(at.in('to_v'), context, { bias });
  const headSize = fixedDimAt(q.shape, 1) / heads;
  return pointwise(
    at.in('to_out.0'),
    implementations[implementation](scale(q, headSize ** -0.5), k, v, heads),
  );
}

interface Head {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** Splits the heads: q and v into [B,d,1,S], k into [B,S,1,d]; k is transposed once for all heads. */
function eachHead(q: Tensor, k: Tensor, v: Tensor, heads: number): Head[] {
  const channels = fixedDimAt(q.shape, 1);
  const size = channels / heads;
  const keys = transpose(k, [0, 3, 2, 1]);
  const split: Head[] = [];
  // Not a loop to `heads`: a number that does not divide the channels, however large, is refused by the first slice.
  for (let start = 0; start < channels; start += size) {
    const end = start + size;
    split.push({ q: slice(q, 1, start, end), k: slice(keys, 3, start, end), v: slice(v, 1, start, end) });
  }
  return split;
}

function attendOneHead(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const scores = einsum('bkhc,bchq->bkhq', k, q);
  return einsum('bchk,bkhq->bchq', v, softmax(scores, 1));
}

/** [B,C,1,S] → [B,heads,C/heads,S]. */
function splitHeads(x: Tensor, heads: number): Tensor {
  return reshape(x, [dimAt(x.shape, 0), heads, fixedDimAt(x.shape, 1) / heads, dimAt(x.shape, 3)]);
}
