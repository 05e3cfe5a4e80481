import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { asName } from '../io/error-text.ts';
import { installCommand } from '../io/install-command.ts';
import { readJsonObject } from '../io/json/python-json.ts';

/** The version that the page is made for and tested with. */
export const ORT_WEB_VERSION = '1.30.0';

/**
 * What a page needs of onnxruntime-web: for the processor, and for WebGPU, each a script, the script that starts its
 * threads, and the WASM.
 */
export const ortFiles = [
  'ort.wasm.min.mjs',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
  'ort.webgpu.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
] as const;

/**
 * Finds the folder with onnxruntime-web's files, as Node would for code in one of these files (paths or addresses). Throws
 * `NotFoundError` when it is not installed, or in another version only.
 */
export async function findOnnxruntimeWeb(origins: readonly string[]): Promise<string> {
  const found: string[] = [];
  for (const origin of origins) {
    const folder = installedFor(origin);
    if (folder === undefined) continue;
    const { version } = await readJsonObject(join(folder, '../package.json'));
    if (version === ORT_WEB_VERSION) return folder;
    found.push(`${asName(version)} in ${folder}`);
  }
  throw new NotFoundError({
    problem:
      found.length > 0
        ? `the page runs models with onnxruntime-web ${ORT_WEB_VERSION}, and another version is installed.`
        : 'the page runs models with onnxruntime-web, which is not installed: it is as large as everything else together.',
    details: found.length > 0 ? { found: found.join(', ') } : {},
    advice: `Install it beside sdconvert: ${await installCommand([`onnxruntime-web@${ORT_WEB_VERSION}`])}`,
  });
}

function installedFor(origin: string): string | undefined {
  try {
    return dirname(createRequire(origin).resolve('onnxruntime-web'));
  } catch {
    return undefined;
  }
}
