import { isDeepStrictEqual } from 'node:util';
import { RequestError, SdConvertError } from '../../src/errors.ts';
import { layOutProgram } from '../../src/formats/coreai/bytecode/encode-program.ts';
import { buildProgram } from '../../src/formats/coreai/lower/build-program.ts';
import { quantizeProgram } from '../../src/formats/coreai/quantize/quantize-program.ts';
import { buildCoreMl } from '../../src/formats/coreml/build/build-model.ts';
import { type DeploymentTarget, deploymentTargets } from '../../src/formats/coreml/deployment-target.ts';
import { layOut } from '../../src/formats/coreml/package/lay-out.ts';
import { quantizeMil } from '../../src/formats/coreml/quantize/quantize-mil.ts';
import { targetNames } from '../../src/formats/format.ts';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { OPSET } from '../../src/formats/onnx/proto.ts';
import { quantizeOnnx } from '../../src/formats/onnx/quantize-onnx.ts';
import { targets } from '../../src/formats/targets.ts';
import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import { linear } from '../../src/graph/layers.ts';
import { Scope } from '../../src/graph/scope.ts';
import { WeightBook } from '../../src/graph/weight-book.ts';
import {
  planQuantization,
  type QuantizationOptions,
  type QuantizationPlan,
  quantizationModes,
} from '../../src/quantize/plan.ts';
import { precisions, withPrecision } from '../../src/quantize/precision.ts';
import { unreadWeight } from '../../test/support/memory-weight.ts';
import { sentence } from './attempt.ts';
import { code, Notes, table } from './markdown.ts';

// as: Object.keys gives strings; the table has exactly these keys.
const systems = Object.keys(deploymentTargets) as DeploymentTarget[];

/** What a target does with what is asked of it. */
export function targetTable(): string {
  return table([
    ['', ...targetNames.map((name) => `--target ${name}`)],
    ['operations', `opset ${OPSET}`, 'ML Program, as below', 'Core AI of OS 27'],
    ['sizes', ...targetNames.map((name) => (targets[name].contract.fixedSizes ? 'fixed' : 'free, or fixed'))],
    ['attention, unless one is named', ...targetNames.map((name) => code([targets[name].attention]))],
    ...precisions.map((wanted) => [
      `--precision ${wanted}`,
      ...targetNames.map((name) => {
        const given = targets[name].precision(wanted);
        return given === wanted ? '✓' : `as ${given}`;
      }),
    ]),
  ]);
}

/** The systems that Core ML packages are written for. */
export function systemTable(): string {
  const rows = systems.map((name) => {
    const { ios, opset, specificationVersion } = deploymentTargets[name];
    return [`${name}, iOS${ios}`, opset, String(specificationVersion)];
  });
  return table([['--min-deployment-target', 'operations of', 'specification'], ...rows]);
}

type Model = unknown;

/** A format in which weights are stored with fewer bits: gives the model and how many weights became smaller. */
interface Format {
  readonly title: string;
  quantize(plan: QuantizationPlan): { readonly model: Model; readonly smaller: number };
}

/** The ways of storing weights with fewer bits, each tried on a small model for each format. */
export function bitsTable(): string {
  const notes = new Notes();
  const formats = quantizedFormats();
  const rows = forms.map(({ title, options }) => [
    title,
    ...formats.map((format) => bitsCell(format, options, notes)),
  ]);
  return [table([['weights as', ...formats.map(({ title }) => title)], ...rows]), notes].join('\n');
}

const GROUP = 16;

/** Each mode, alone and with each option that it may have. */
const forms = quantizationModes.flatMap((mode) =>
  [
    { title: mode, options: { mode } },
    { title: `${mode}, --group-size ${GROUP}`, options: { mode, groupSize: GROUP } },
    { title: `${mode}, --int8-palette`, options: { mode, int8Palette: true } },
    { title: `${mode}, --matmul-nbits`, options: { mode, matMulNBits: true } },
  ].filter(({ options }) => widths(options).length > 0),
);

type FormOptions = Omit<QuantizationOptions, 'bits'>;

/** The numbers of bits that there are with these options. */
function widths(options: FormOptions): number[] {
  return [1, 2, 3, 4, 5, 6, 7, 8].filter((bits) => {
    try {
      planQuantization({ bits, ...options });
      return true;
    } catch (error) {
      if (error instanceof RequestError) return false;
      throw error;
    }
  });
}

/** The numbers of bits that a format has, and why it lacks the others; a dash where the options change nothing. */
function bitsCell(format: Format, options: FormOptions, notes: Notes): string {
  const { mode, ...more } = options;
  const written: number[] = [];
  const reasons = new Set<number>();
  for (const bits of widths(options)) {
    try {
      const { model, smaller } = format.quantize(planQuantization({ bits, ...options }));
      if (smaller === 0) continue;
      const without = Object.keys(more).length > 0 && format.quantize(planQuantization({ bits, mode })).model;
      if (!without || !isDeepStrictEqual(model, without)) written.push(bits);
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      reasons.add(notes.number(sentence(error)));
    }
  }
  const bits = written.length > 0 ? [written.join(', ')] : reasons.size > 0 ? ['✗'] : ['–'];
  return [...bits, ...[...reasons].sort((a, b) => a - b).map((number) => `(${number})`)].join(' ');
}

function quantizedFormats(): Format[] {
  const graph = withPrecision(oneLayer(), 'float16');
  const onnx = buildOnnxModel(graph, {});
  const program = buildProgram(graph);
  return [
    {
      title: 'ONNX',
      quantize(plan) {
        const { model, weights } = quantizeOnnx(onnx, plan);
        return { model: model.proto, smaller: weights.length };
      },
    },
    ...systems.map((target): Format => {
      const built = buildCoreMl(graph, { target, description });
      return {
        title: `Core ML, ${target}, iOS${deploymentTargets[target].ios}`,
        quantize(plan) {
          const { model, weights } = quantizeMil(built, 'layer', plan);
          return { model: layOut(model).message, smaller: weights.length };
        },
      };
    }),
    {
      title: 'Core AI',
      quantize(plan) {
        const { program: written, weights } = quantizeProgram(program, plan);
        const { parts } = layOutProgram(written);
        const model = parts.map(({ offset, tensor: { name, byteLength } }) => ({ offset, name, byteLength }));
        return { model, smaller: weights.length };
      },
    },
  ];
}

const description = {
  shortDescription: '',
  author: '',
  license: '',
  version: '',
  features: {},
  userDefined: {},
};

/** A linear layer of 128 channels: more elements than are left alone. */
function oneLayer(): Graph {
  const weight = unreadWeight('layer.weight', [128, 128]);
  const builder = new GraphBuilder();
  const at = new Scope(builder, new WeightBook('the layer', new Map([[weight.name, weight]])));
  const x = builder.input('x', { dtype: 'f32', shape: [1, 8, 128] });
  return builder.finish([{ name: 'y', tensor: linear(at.in('layer'), x, { bias: false }) }]);
}
