import { inspect } from '../../src/commands/inspect.ts';
import { SdConvertError } from '../../src/errors.ts';
import { describe } from '../../src/inspect/describe.ts';
import type { TensorStream } from '../../src/weights/tensor-stream.ts';
import type { Weight } from '../../src/weights/weight.ts';

/**
 * Makes every attempt, as different commands would, although an earlier one was refused; then throws the first refusal.
 * What is not a refusal is thrown at once.
 */
export async function attempts(works: Iterable<() => unknown>): Promise<void> {
  let refusal: SdConvertError | undefined;
  for (const work of works) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      refusal ??= error;
    }
  }
  if (refusal) throw refusal;
}

/** Work that may be refused for an intact input, too; other errors are thrown. */
export function refusable(work: () => unknown): () => Promise<void> {
  return async () => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
    }
  };
}

/** Bytes after which enough of a file was read. */
const ENOUGH = 1 << 21;

/** Reads weights in the order of their file, as float32. */
export async function drainWeights(weights: Iterable<Weight>): Promise<void> {
  let bytes = 0;
  for (const weight of weights) {
    const dtype = /^(bool|[iu]\d)/.test(weight.dtype) ? weight.dtype : 'f32';
    for await (const block of weight.stream(dtype)) {
      bytes += block.length;
      if (bytes > ENOUGH) return;
    }
  }
}

/** Reads streams of bytes. */
export async function drainStreams(streams: Iterable<TensorStream>): Promise<void> {
  let bytes = 0;
  for (const stream of streams) {
    for await (const block of stream.stream()) {
      bytes += block.length;
      if (bytes > ENOUGH) return;
    }
  }
}

/** Inspects a path as the command does, up to the text for a person: that must be printable, and of a length to read. */
export async function inspectAndDescribe(path: string): Promise<void> {
  const text = describe(await inspect({ path }));
  if (
    text.length > LONGEST_SENTENCE ||
    /\[object |\bundefined\b|(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/u.test(text)
  )
    throw new Error(`a description that nobody can read: ${JSON.stringify(text.slice(0, 2000))}`);
}

/** Longest sentence: it may name several things out of a file. */
const LONGEST_SENTENCE = 20_000;

/** Sentences that are told as a result must say what is wrong, as errors must. */
export function checkSentences(sentences: Iterable<string>): void {
  for (const sentence of sentences)
    if (/\bundefined\b/.test(sentence) || sentence.length > LONGEST_SENTENCE)
      throw new Error(`a sentence that does not say what is wrong: ${sentence.slice(0, 400)}`);
}
