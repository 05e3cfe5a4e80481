import { addScalar, argmax, cast, concat, equal, mul, scale, slice } from '../../../graph/functions.ts';
import { fixedDimAt } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';

/** What Apple's tokenizer does otherwise than transformers' and a graph can mend. Token ids are int32 [1,S]. */

/** CLIP's id of `!` at the end of a word; within one it has id 0. */
const EXCLAMATION = 256;

/** Token ids whose last one is the end token: of a prompt that is too long, Apple cuts it off with the rest. */
export function ended(ids: Tensor, end: number): Tensor {
  const others = slice(ids, 1, 0, fixedDimAt(ids.shape, 1) - 1);
  return concat([others, ids.builder.constant(Int32Array.of(end), [1, 1])], 1);
}

/**
 * Token ids as a tokenizer gives them that pads with `!`, id 0, from those of one that pads with the end token, as Apple's does:
 * after the first `end`, which must be there, all are 0. So is every `!` of the prompt, as in transformers, which takes the
 * padding token out of the text first; where other punctuation is beside it, it is part of another token, and stays it.
 */
export function paddedWithZeros(ids: Tensor, end: number): Tensor {
  const tokens = fixedDimAt(ids.shape, 1);
  const next = addScalar(cast(argmax(isId(ids, end)), 'i32'), 1); // [1,1]
  const positions = ids.builder.constant(
    Int32Array.from({ length: tokens }, (_, at) => at),
    [1, tokens],
  );
  const isText = cast(ids.builder.apply({ kind: 'greater' }, [next, positions]), 'i32');
  return mul(mul(ids, isText), opposite(isId(ids, EXCLAMATION)));
}

/** 0 for a prompt without words, otherwise 1: float32 [1,1]. */
export function hasWords(ids: Tensor, end: number): Tensor {
  return cast(opposite(isId(slice(ids, 1, 1, 2), end)), 'f32');
}

function isId(ids: Tensor, id: number): Tensor {
  return cast(equal(ids, ids.builder.constant(Int32Array.of(id), [])), 'i32');
}

/** 0 ↔ 1. */
function opposite(flags: Tensor): Tensor {
  return addScalar(scale(flags, -1), 1);
}
