import { expect, test } from 'vitest';
import type { MilModel } from '../../../../src/formats/coreml/mil/mil-model.ts';
import type { FeatureDescription, ModelDescription } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { parseMilText } from '../../../../src/formats/coreml/mil/parse-mil-text.ts';
import { verifiedDescription } from '../../../../src/formats/coreml/mil/verify-description.ts';
import { rejectionOf } from '../../../support/thrown-by.ts';
import { feature, smallModel } from '../small-package.ts';

const { description: plain } = smallModel();

/** A function that gives what it takes. */
function echo(name: string, taken: string): string {
  return `func ${name}<ios18>(${taken} x) {
            ${taken} y = identity(x = x)[name = tensor<string, []>("y")];
        } -> (y);`;
}

/** An open model of these functions, with a description that says so. */
function modelOf(
  functions: string,
  description: Partial<ModelDescription>,
): MilModel & { isClosed: boolean } {
  const text = `program(1.3)\n[buildInfo = dict<string, string>({})]\n{\n    ${functions}\n}`;
  return {
    path: 'm.mlpackage',
    specificationVersion: 9,
    description: { ...(plain as ModelDescription), ...description },
    descriptionBytes: new Uint8Array(),
    program: parseMilText(text, 'model.mil'),
    weights: new Map() as never,
    isClosed: false,
    async close() {
      this.isClosed = true;
    },
  };
}

const image: FeatureDescription = {
  name: 'x',
  shortDescription: '',
  type: { imageType: new Uint8Array(), isOptional: false },
};

/** An input of any number of rows, of which the description has one. */
function flexible(sizes: object): FeatureDescription {
  const { type, ...named } = feature('x', [1, 4]);
  return {
    ...named,
    type: { isOptional: false, multiArrayType: { ...type?.multiArrayType, ...sizes } as never },
  };
}

const output = [feature('y', [1, 4])];
const single = (taken: string, input: FeatureDescription) =>
  modelOf(echo('main', taken), { input: [input], output });

test.each([
  ['of fixed sizes', single('tensor<fp32, [1, 4]>', feature('x', [1, 4]))],
  [
    'of a free size with a range',
    single('tensor<fp32, [?, 4]>', flexible({ shapeRange: { sizeRanges: [] } })),
  ],
  ['of a free size without', single('tensor<fp32, [?, 4]>', feature('x', [1, 4]))],
  ['of enumerated shapes', single('tensor<fp32, [2, 4]>', flexible({ enumeratedShapes: { shapes: [] } }))],
  ['that is a picture', single('tensor<fp32, [1, 3, 8, 8]>', image)],
  [
    'that is a state',
    modelOf(
      `func main<ios18>(state<tensor<fp16, [2]>> s) {
            tensor<fp16, [2]> y = read_state(input = s)[name = tensor<string, []>("y")];
        } -> (y);`,
      {
        state: [
          {
            name: 's',
            shortDescription: '',
            type: { stateType: { arrayType: { shape: [2], dataType: 65552 } }, isOptional: false },
          },
        ],
        input: [],
        output,
      },
    ),
  ],
  [
    'of several functions, of which one is not described',
    modelOf(['a', 'b', 'c'].map((name) => echo(name, 'tensor<fp32, [1, 4]>')).join('\n    '), {
      input: [],
      output: [],
      functions: ['a', 'b'].map((name) => ({
        name,
        input: [feature('x', [1, 4])],
        output,
        state: [],
        predictedFeatureName: '',
        predictedProbabilitiesName: '',
      })),
      defaultFunctionName: 'a',
    }),
  ],
])('an input %s is described rightly', async (_, model) => {
  expect(await verifiedDescription(model)).toBe(model);
  expect(model.isClosed).toBe(false);
});

test.each([
  ['another name', single('tensor<fp32, [1, 4]>', feature('z', [1, 4])), 'other inputs'],
  ['another size', single('tensor<fp32, [2, 4]>', feature('x', [1, 4])), 'other inputs'],
  [
    'no output',
    modelOf(echo('main', 'tensor<fp32, [1]>'), { input: [feature('x', [1])], output: [] }),
    'outputs',
  ],
])('a description with %s is refused, and its model closed', async (_, model, what) => {
  expect((await rejectionOf(verifiedDescription(model))).problem).toContain(what);
  expect(model.isClosed).toBe(true);
});
