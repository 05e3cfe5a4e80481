import { readStream } from '../../weights/tensor-stream.ts';
import { type Numbers, storedNumbers } from '../onnx/translated/decoded-numbers.ts';
import { elementCodes } from './bytecode/codes.ts';
import type { Attribute, Element, Operation, TensorType } from './program.ts';

/** Where the elements of a constant are: in the program itself, or among the weights. */
export type Elements = Extract<Attribute, { kind: 'tensor' | 'resource' }>;

/** Most elements that one stored element may stand for: the largest known weight has half as many scales of 4 bits. */
const MOST_FILLED = 1 << 21;

/** The elements of a constant operation; `undefined` for other operations, and where they are nowhere. */
export function elementsOf({ name, properties: [elements] }: Operation): Elements | undefined {
  const areThere = elements?.kind === 'tensor' || elements?.kind === 'resource';
  return name === 'primitive.constant_v1' && areThere ? elements : undefined;
}

/** Number of elements; NaN where a size is free. */
export function countOf({ shape }: TensorType): number {
  return shape.reduce<number>((count, size = Number.NaN) => count * size, 1);
}

/** The bytes that the elements of a constant must have. */
export function storedBytes(type: TensorType, elements: Elements): number {
  if (elements.kind === 'resource') return Math.ceil((countOf(type) * elementCodes[type.element].bits) / 8);
  const stored = elementCodes[inlineElement(type.element)].bits;
  return Math.ceil(((elements.splat ? 1 : countOf(type)) * stored) / 8);
}

/** Reads the elements of a constant. Throws `Error` where they are not as many as its type says. */
export async function readElements(type: TensorType, elements: Elements): Promise<Numbers> {
  if (elements.kind === 'tensor') return inlineNumbers(type, elements);
  return storedNumbers(type.element, await readStream(elements.tensor), countOf(type));
}

/** The elements of a constant that stands in the program itself. Throws `Error` for too many that are all one. */
export function inlineNumbers(
  type: TensorType,
  { bytes, splat }: Extract<Elements, { kind: 'tensor' }>,
): Numbers {
  const count = countOf(type);
  if (splat && !(count <= MOST_FILLED)) throw new Error(`${count} elements stand for one number`);
  const all = splat ? Buffer.alloc(count * bytes.length, bytes) : bytes;
  return storedNumbers(inlineElement(type.element), all, count);
}

/** As what elements stand in the program: those of fewer than 8 bits one a byte, but for truths. */
function inlineElement(element: Element): Element {
  const { bits } = elementCodes[element];
  if (bits === 1 || bits >= 8) return element;
  return element.startsWith('i') ? 'i8' : 'u8';
}
