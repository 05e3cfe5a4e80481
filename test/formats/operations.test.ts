import { beforeAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/formats/coreai/lower/build-program.ts';
import type { TargetName } from '../../src/formats/format.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { feedsFor } from '../../src/run/feeds.ts';
import { numbersOf } from '../../src/weights/tensor-values.ts';
import { coreAiText } from '../support/coreai-text.ts';
import { onnxText } from '../support/onnx-text.ts';
import {
  everyCase,
  expectedOfCase,
  feedsOfCase,
  graphOfCase,
  graphOfCases,
} from '../support/op-cases/every-case.ts';
import { writtenGraph } from '../support/run-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { writtenForm } from './coreml/written-form.ts';

/** What a format makes of a graph, and the largest error it may have, as a part of the largest element. Operands are numbers that float16 holds, so only results are rounded. */
interface FormatTests {
  readonly text: (graph: Graph) => string;
  readonly tolerances: { readonly [P in Precision]?: number };
}

const formats: { readonly [F in TargetName]: FormatTests } = {
  onnx: {
    text: (graph) => onnxText(buildOnnxModel(graph, {}).proto),
    tolerances: {
      // A float32 is rounded by up to 2^-24 (6e-8), and sums of up to 18 terms are rounded in between. Measured: 1.4e-7 at most.
      float32: 2e-7,
      'float16-weights': 2e-7,
      // A float16 is rounded by up to 2^-11 (4.9e-4), twice where a result is rounded on its way. onnxruntime computes much
      // of it in float32 on a CPU. Measured: 3.7e-4 at most.
      float16: 2 ** -10,
    },
  },
  coreml: {
    text: (graph) => writtenForm(graph, 'macOS13'),
    tolerances: {
      // As above. Measured: 1.4e-7 at most.
      float32: 2e-7,
      // Each operation's result is rounded to float16, and some are two operations and more. Measured: 4.6e-4 at most.
      float16: 2 ** -10,
    },
  },
  coreai: {
    text: (graph) => coreAiText(buildProgram(graph)),
    tolerances: {
      // As above. Measured in Apple’s runtime: 1.0e-7 at most.
      float32: 2e-7,
      'float16-weights': 2e-7,
      // As of Core ML.
      float16: 2 ** -10,
    },
  },
};

const inFolder = temporaryFolder();

describe.each(Object.entries(formats))('%s', (name, { text, tolerances }) => {
  // as: `Object.entries` forgets which names there are.
  const format = name as TargetName;

  test.each(everyCase)(
    '$name is written as the operations and parameters that the format has for it',
    (each) => {
      expect(text(graphOfCase(each))).toBe(each.written[format]);
    },
  );

  describe.each(Object.entries(tolerances))('in %s', (named, tolerance) => {
    // as: as above.
    const precision = named as Precision;
    let results: TensorMap;

    // All cases in one model: to load one takes longer than to compute them all.
    beforeAll(async () => {
      const graph = graphOfCases(everyCase);
      verifyGraph(withPrecision(graph, precision));
      const runner = await writtenGraph(graph, { format, precision }, inFolder(format, precision));
      const feeds = everyCase.flatMap((each) => feedsOfCase(each, `${each.id}_`));
      results = await runner.run(feedsFor(runner, new Map(feeds))).finally(() => runner.close());
    });

    test.each(everyCase)('$name: $type computes what plain loops compute', (each) => {
      const result = results.get(`${each.id}_y`);
      if (!result) throw new Error('it was not computed');
      expect(each.type).toMatch(`[${result.shape.join(', ')}]`);
      const expected = expectedOfCase(each);
      const found = Array.from(numbersOf(result), Number);
      expect(found).toHaveLength(expected.length);
      const error = Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
      expect(error / Math.max(...expected.map(Math.abs))).toBeLessThan(tolerance);
    });
  });
});

test.each(everyCase)('$name is written for iOS 17 and 18 with the parameters that came then', (each) => {
  const { coreml, ios17 = coreml } = each.written;
  expect(writtenForm(graphOfCase(each), 'macOS14')).toBe(ios17);
  expect(writtenForm(graphOfCase(each), 'macOS15')).toBe(ios17);
});
