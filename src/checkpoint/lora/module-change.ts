import { FileFormatError } from '../../errors.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Part } from './lora-key.ts';
import type { LoraModule } from './open-lora.ts';

/** How the change of a weight is stored. */
export const changeKinds = ['LoRA', 'LoHa', 'LoKr', 'difference'] as const;

export type ChangeKind = (typeof changeKinds)[number];

/**
 * The change that a LoRA adds to a weight, as a matrix of (outputs) × (inputs · kernel):
 *
 * - LoRA (https://arxiv.org/abs/2106.09685): up · down.
 * - LoHa (https://arxiv.org/abs/2108.06098): the Hadamard product of two such products.
 * - LoKr (https://arxiv.org/abs/2309.14859): the Kronecker product of two matrices, each stored in full or as a product.
 * - Difference: stored in full, also for norms and biases.
 *
 * All but differences are multiplied by alpha / rank.
 */
export interface Change {
  readonly kind: ChangeKind;
  /** One matrix for LoRA and differences, two for the others. */
  readonly matrices: readonly Matrix[];
  readonly rows: number;
  readonly columns: number;
  /** `undefined` for differences, and for a LoKr of two full matrices, to which alpha does not apply. */
  readonly rank: number | undefined;
  readonly alpha: Weight | number | undefined;
  readonly rankStabilized: boolean;
  readonly magnitude: Magnitude | undefined;
}

/** A matrix in a file: stored in full, or as a product of two or three. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** The matrix itself, or the right factor: (rank) × (columns). */
  readonly down: Weight;
  /** The left factor: (rows) × (rank), or with `transposed` (rank) × (rows). */
  readonly up?: Weight;
  readonly transposed?: boolean;
  /** The middle of three factors (a Tucker decomposition of a kernel): (rank) × (rank) × kernel. */
  readonly core?: Weight;
}

/** Magnitudes of DoRA (https://arxiv.org/abs/2402.09353): norms for the weights of each output, or of each input. */
export interface Magnitude {
  readonly weight: Weight;
  readonly by: 'output' | 'input';
  /**
   * What a scale other than 1 multiplies: the change, before the norms are applied (PEFT), or the difference of the
   * final weight to the old one (LyCORIS, and all programs that read kohya's files).
   */
  readonly scales: 'change' | 'result';
}

/** Changes of a module: of its weight, its bias, or both. */
export interface ModuleChanges {
  readonly weight?: Change;
  readonly bias?: Change;
}

/**
 * Reads a module's changes; there is none if it has only an alpha, or matrices of rank 0. Throws `FileFormatError`
 * where tensors are missing or do not fit each other.
 */
export function readChanges(module: LoraModule): ModuleChanges {
  const bias = ['diff_b', 'b_norm'] as const;
  const [biasPart] = bias.filter((part) => module.parts.has(part));
  const others = [...module.parts.keys()].filter(
    (part) => part !== 'alpha' && !bias.some((each) => each === part),
  );
  const isEmpty = others.length > 0 && others.every((part) => module.parts.get(part)?.shape.includes(0));
  return {
    ...(others.length > 0 && !isEmpty && { weight: readChange(module) }),
    ...(biasPart && { bias: difference(module, biasPart) }),
  };
}

function difference(module: LoraModule, part: Part): Change {
  const down = module.parts.get(part);
  if (!down || down.shape.length === 0) throw misfit(module);
  const [rows = 0, columns = 0] = matrixShape(down);
  const none = { rank: undefined, alpha: undefined, rankStabilized: false, magnitude: undefined };
  return { kind: 'difference', matrices: [{ rows, columns, down }], rows, columns, ...none };
}

/** Reads the change of a module's weight. Throws `FileFormatError` where tensors are missing or do not fit each other. */
export function readChange(module: LoraModule): Change {
  const { parts, defaults } = module;
  const whole = (['diff', 'w_norm'] as const).find((part) => parts.has(part));
  if (whole) {
    if (['up', 'down', 'hada_w1_a', 'lokr_w1', 'lokr_w1_a'].some((part) => parts.has(part as Part)))
      throw misfit(module);
    return difference(module, whole);
  }
  const common = {
    alpha: parts.get('alpha') ?? defaults.alpha,
    rankStabilized: defaults.rankStabilized ?? false,
  };
  if (parts.has('hada_w1_a')) {
    const first = tucker(module, 'hada_w1_a', 'hada_w1_b', 'hada_t1');
    const second = tucker(module, 'hada_w2_a', 'hada_w2_b', 'hada_t2');
    const { rows, columns } = first;
    if (rows !== second.rows || columns !== second.columns) throw misfit(module);
    const rank = first.down.shape[0];
    return withMagnitude(module, { kind: 'LoHa', matrices: [first, second], rows, columns, rank, ...common });
  }
  if (parts.has('lokr_w1') || parts.has('lokr_w1_a')) {
    const first = parts.has('lokr_w1')
      ? wholeMatrix(module, 'lokr_w1')
      : tucker(module, 'lokr_w1_a', 'lokr_w1_b');
    const second = parts.has('lokr_w2')
      ? wholeMatrix(module, 'lokr_w2')
      : tucker(module, 'lokr_w2_a', 'lokr_w2_b', 'lokr_t2');
    const [rows, columns] = [first.rows * second.rows, first.columns * second.columns];
    const rank = [second, first].find(({ up }) => up)?.down.shape[0];
    return withMagnitude(module, { kind: 'LoKr', matrices: [first, second], rows, columns, rank, ...common });
  }
  const matrix = productOf(module, 'up', 'down', 'mid', false);
  const { rows, columns } = matrix;
  const rank = matrix.down.shape[0];
  return withMagnitude(module, { kind: 'LoRA', matrices: [matrix], rows, columns, rank, ...common });
}

/** Reads a product of LyCORIS, which stores the left factor transposed if there is a core. */
function tucker(module: LoraModule, up: Part, down: Part, core?: Part): Matrix {
  return productOf(module, up, down, core, core !== undefined && module.parts.has(core));
}

function productOf(
  module: LoraModule,
  upPart: Part,
  downPart: Part,
  corePart: Part | undefined,
  transposed: boolean,
): Matrix {
  const [up, down] = [required(module, upPart), required(module, downPart)];
  const core = corePart && module.parts.get(corePart);
  const [rank, inputs] = matrixShape(down);
  const [upRows, upRank] = transposed ? matrixShape(up).toReversed() : matrixShape(up);
  if (upRank !== rank) throw misfit(module);
  if (core && (core.shape[0] !== rank || core.shape[1] !== rank)) throw misfit(module);
  const columns = (inputs ?? 0) * (core ? elementCount(core.shape.slice(2)) : 1);
  return { rows: upRows ?? 0, columns, down, up, transposed, ...(core && { core }) };
}

function wholeMatrix(module: LoraModule, part: Part): Matrix {
  const down = required(module, part);
  const [rows = 0, columns = 0] = matrixShape(down);
  return { rows, columns, down };
}

function required(module: LoraModule, part: Part): Weight {
  const weight = module.parts.get(part);
  if (weight && weight.shape.length >= 2 && !weight.shape.includes(0)) return weight;
  const [any] = module.parts.values();
  throw new FileFormatError({
    problem: `${any?.file ?? 'the LoRA'} ${weight ? 'has a tensor that is not a matrix' : 'lacks a tensor of a module'}.`,
    details: {
      module: module.module,
      expected: `${part}, a matrix`,
      found: weight ? `${weight.name} [${weight.shape}]` : [...module.parts.keys()].join(', '),
    },
    advice: damaged,
  });
}

/** Shape of a tensor as a matrix: (first axis) × (all others), so that a kernel belongs to the inputs. */
function matrixShape({ shape }: Weight): number[] {
  return [shape[0] ?? 0, elementCount(shape.slice(1))];
}

function withMagnitude(module: LoraModule, change: Omit<Change, 'magnitude'>): Change {
  const peft = module.parts.get('magnitude');
  if (peft) {
    if (elementCount(peft.shape) !== change.rows) throw misfit(module);
    return { ...change, magnitude: { weight: peft, by: 'output', scales: 'change' } };
  }
  const weight = module.parts.get('dora_scale');
  if (!weight) return { ...change, magnitude: undefined };
  const count = elementCount(weight.shape);
  const by = weight.shape[0] === change.rows && count === change.rows ? 'output' : 'input';
  if (by === 'input' && (weight.shape[1] !== count || change.columns % count !== 0)) throw misfit(module);
  return { ...change, magnitude: { weight, by, scales: 'result' } };
}

const damaged = 'The file is damaged or was written by a faulty tool: download it again, or use another.';

function misfit({ module, parts }: LoraModule): FileFormatError {
  const [any] = parts.values();
  return new FileFormatError({
    problem: `${any?.file ?? 'the LoRA'} has tensors that do not fit each other.`,
    details: {
      module,
      found: [...parts.values()].map(({ name, shape }) => `${name} [${shape}]`).join(', '),
    },
    advice: damaged,
  });
}
