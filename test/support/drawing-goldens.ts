import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import { decodePng, encodePng } from '../../src/generate/png.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';

/** What a drawing is made with beside what its golden says; `output` is where its pictures go. */
export type GivenOptions = Omit<GenerateOptions, 'prompt'> & { readonly output: string };

/** Draws what a golden says; bytes may be off by one here and there: what is left is float32 rounding. */
export async function expectDrawn(folder: string, name: string, options: GivenOptions): Promise<void> {
  const { expected, begin, request } = await readDrawing(folder, name);
  const negativePrompt = request.negative_prompt;
  const [image] = await generate({
    prompt: String(request.prompt),
    ...(typeof negativePrompt === 'string' && { negativePrompt }),
    seed: Number(request.seed),
    steps: Number(request.steps),
    guidanceScale: Number(request.guidance_scale),
    rng: 'torch',
    ...(begin && { image: writeSquare(options.output, name, begin) }),
    ...options,
  });
  const path = image?.path ?? '';
  const found = decodePng(readFileSync(path), path).data;
  const differences = Array.from(expected, (byte, i) => Math.abs(byte - (found[i] ?? Number.NaN)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  expect(differences.filter((each) => each > 0).length).toBeLessThanOrEqual(expected.length / 100);
}

/** A recorded drawing: its picture, the picture that it began with, and what the pipeline was asked for. */
export async function readDrawing(folder: string, name: string) {
  const file = await openSafetensors(join(folder, `${name}.safetensors`));
  const bytes = async (tensor: string) => {
    const weight = file.weights.get(tensor);
    const read = weight && (await readTensor(weight, weight.dtype));
    return read?.dtype === 'u8' ? read.data : undefined;
  };
  const [expected = new Uint8Array(), begin] = [await bytes('image'), await bytes('begin')];
  await file.close();
  // as: the scripts that record write an object.
  const request = JSON.parse(file.metadata.request ?? '{}') as Record<string, unknown>;
  return { expected, begin, request };
}

/** A square picture as a PNG file. */
export function writeSquare(folder: string, name: string, data: Uint8Array): string {
  const side = Math.sqrt(data.length / 3);
  const path = join(folder, `${name}.begin.png`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, encodePng({ width: side, height: side, channels: 3, data }));
  return path;
}
