import type { WebFile } from '../../src/web/web-plan.ts';

/** Room for the bytes of a file. Throws an error of one sentence where the browser has none. */
export function roomFor({ path, byteLength }: WebFile): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength);
  } catch {
    throw new Error(
      `This browser has no memory for ${path}, of ${(byteLength / 1e9).toFixed(1)} GB: close other tabs, or take a smaller model.`,
    );
  }
}
