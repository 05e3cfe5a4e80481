import type { Element } from '../../src/formats/coreai/program.ts';
import { float16Value } from '../../src/weights/convert-dtype.ts';

/** The numbers of a constant that stands in a program. */
export function constantNumbers(bytes: Uint8Array, element: Element): number[] {
  const { buffer } = bytes.slice();
  switch (element) {
    case 'f32':
      return [...new Float32Array(buffer)];
    case 'f16':
      return [...new Uint16Array(buffer)].map(float16Value);
    case 'i32':
      return [...new Int32Array(buffer)];
    case 'u32':
      return [...new Uint32Array(buffer)];
    case 'i16':
      return [...new Int16Array(buffer)];
    default:
      return [...new Uint8Array(buffer)];
  }
}
