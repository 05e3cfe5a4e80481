import { join } from 'node:path';
import { z } from 'zod';
import { listFolder, pathKind } from '../io/disk.ts';
import { filesIn } from '../io/file-sizes.ts';
import { readStrictJson } from '../io/json/strict-json.ts';
import { pageNames } from './page-files.ts';

const file = z.object({ path: z.string() });

/** What of a `plan.json` names files, and tells it from another program's. */
const planSchema = z.object({
  unet: z.object({ family: z.string() }),
  models: z.record(z.string(), z.object({ model: file, data: z.array(file) })),
  tokenizers: z.record(z.string(), file),
  demo: z.object({ picture: file }).optional(),
});

/** What is in a folder, which is not empty, that `web` did not write there; nothing where it is a page. */
export async function strangerIn(folder: string): Promise<string | undefined> {
  const plan = join(folder, 'plan.json');
  const found = (await pathKind(plan)) === 'file' ? await readStrictJson(plan) : undefined;
  const { data } = planSchema.safeParse(found);
  if (!data) return found === undefined ? (await listFolder(folder))[0] : 'plan.json';
  const models = Object.values(data.models).flatMap(({ model, data: external }) => [model, ...external]);
  const listed = [...models, ...Object.values(data.tokenizers), ...(data.demo ? [data.demo.picture] : [])];
  const own = new Set([...pageNames, 'plan.json', ...listed.map(({ path }) => path)]);
  const files = (await filesIn(folder)).map(({ name }) => name);
  // Another version of onnxruntime-web may have other files.
  return files.find((name) => !own.has(name) && !/^ort\/ort[^/]*\.(mjs|wasm)$/.test(name));
}
