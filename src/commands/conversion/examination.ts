import { NonFiniteWeightError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { count } from '../../text.ts';
import { describeFinding } from '../../weights/describe-finding.ts';
import { examinedWeight, type NonFiniteWeight, type WeightFinding } from '../../weights/examined-weight.ts';
import type { Weight } from '../../weights/weight.ts';
import type { ConvertRequest } from './request.ts';

/**
 * Checks a network's weights while they stream into artifacts, so nothing is read twice. All targets of a network share it, so that a
 * weight which streams into several artifacts is checked once.
 */
export class Examination {
  /** File of each weight, by the weight's name. */
  readonly files = new Map<string, string>();
  readonly #examined = new Map<Weight['stream'], Weight['stream']>();
  readonly #found = new Map<string, WeightFinding>();

  /** Gives, for a weight of the graph, the same weight, which is checked whenever it streams. */
  of(graph: Graph): (weight: Weight) => Weight {
    const layers = layerWeights(graph);
    return (weight) => {
      this.files.set(weight.name, weight.file);
      return { ...weight, stream: this.#examine(weight, layers.has(weight)) };
    };
  }

  #examine(weight: Weight, isLayer: boolean): Weight['stream'] {
    const known = this.#examined.get(weight.stream);
    if (known) return known;
    const { stream } = examinedWeight(weight, isLayer, (finding) => this.#found.set(finding.weight, finding));
    this.#examined.set(weight.stream, stream);
    return stream;
  }

  /** Returns and clears the findings since the last call, in the order in which the weights were read. */
  take(): readonly WeightFinding[] {
    const found = [...this.#found.values()];
    this.#found.clear();
    return found;
  }
}

/** Weights of linear and convolution layers (without biases). */
function layerWeights({ tensors }: Graph): ReadonlySet<Weight> {
  const weights = new Set<Weight>();
  for (const { op, inputs } of tensors) {
    const weight = (op.kind === 'linear' || op.kind === 'conv2d') && inputs[1]?.op;
    if (weight && weight.kind === 'weight') weights.add(weight.weight);
  }
  return weights;
}

/** Findings in one network. */
interface NetworkFindings {
  readonly network: string;
  readonly findings: readonly WeightFinding[];
}

/** Number of weights that a message names. */
const NAMED = 5;

/**
 * Throws `NonFiniteWeightError` for an artifact with weights that are NaN or infinite, unless that is allowed. The error
 * names the first of their `files`.
 */
export function refuseNonFinite(
  path: string,
  findings: readonly WeightFinding[],
  { allowNonFinite, quantization }: Pick<ConvertRequest, 'allowNonFinite' | 'quantization'>,
  files: ReadonlyMap<string, string> = new Map(),
): void {
  const wrong = findings.filter((finding) => finding.problem === 'non-finite');
  if (allowNonFinite || wrong.length === 0) return;
  const [first] = wrong.flatMap(({ weight }) => files.get(weight) ?? []);
  const file: [string, string][] = first === undefined ? [] : [['file', first]];
  const named = wrong.slice(0, NAMED).map((finding) => [finding.weight, describeFinding(finding)]);
  const more: [string, string][] =
    wrong.length > NAMED ? [['…', `and ${count(wrong.length - NAMED, 'more weight')}`]] : [];
  const isOverflow = wrong.every(({ nan, infinite }) => nan + infinite === 0);
  throw new NonFiniteWeightError({
    problem: `${path} is refused: ${count(wrong.length, 'weight')} ${wrong.length === 1 ? 'contains' : 'contain'} numbers that are not finite${isOverflow ? ' in float16' : ''}.`,
    details: Object.fromEntries([...file, ...named, ...more]),
    advice: adviceOn(wrong, quantization !== undefined),
  });
}

function adviceOn(wrong: readonly NonFiniteWeight[], areQuantized: boolean): string {
  const isDamaged = wrong.some(({ nan, infinite }) => nan + infinite > 0);
  const overflows = wrong.some(({ overflowing }) => overflowing > 0);
  const without = areQuantized ? ' without --quantize-nbits' : '';
  return [
    ...(isDamaged ? ['The training went wrong or the file is damaged: use another version of it.'] : []),
    ...(overflows ? [`--precision float32${without} keeps numbers that are too large for float16.`] : []),
    `--allow-non-finite${without} writes them anyway${overflows ? ', those that are too large as infinity' : ''}.`,
  ].join(' ');
}

/** Notes on suspicious weights that were written anyway: at most one sentence of each kind. */
export function notesOnFindings(all: readonly NetworkFindings[]): string[] {
  const byName = new Map<string, WeightFinding>();
  for (const { network, findings } of all)
    for (const finding of findings) byName.set(`${network}: ${finding.weight}`, finding);
  const found = [...byName];
  const wrong = found.filter(([, { problem }]) => problem === 'non-finite');
  const odd = found.filter(([, { problem }]) => problem !== 'non-finite');
  return [
    ...(wrong.length > 0 ? [`written although not finite (--allow-non-finite): ${listed(wrong)}.`] : []),
    ...(odd.length > 0
      ? [`written unchanged, but unlikely to be the result of training: ${listed(odd)}.`]
      : []),
  ];
}

function listed(found: readonly (readonly [string, WeightFinding])[]): string {
  const named = found.slice(0, NAMED).map(([name, finding]) => `${name} (${describeFinding(finding)})`);
  const more = found.length > NAMED ? [`${found.length - NAMED} more`] : [];
  return [...named, ...more].join(', ');
}
