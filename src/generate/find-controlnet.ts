import { basename, join, resolve } from 'node:path';
import { LATENT_CHANNELS } from '../convert/networks/latents.ts';
import { networkKind } from '../convert/networks/networks.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { controlNetOrigin } from '../formats/artifact-id.ts';
import { swiftControlNetName } from '../formats/coreml/swift-names.ts';
import { modelName } from '../formats/format.ts';
import { locateArtifact } from '../formats/open.ts';
import { shellWord } from '../io/shell-word.ts';
import { type ModelInFolder, modelsIn } from '../run/find-models.ts';
import type { DrawingFolder } from './drawing-folder.ts';
import { type DrawnUnet, type Shapes, shapesOf, textSizes } from './drawn-unet.ts';

/** A ControlNet, and the shapes of its inputs. */
export interface FoundControlNet extends Pick<ModelInFolder, 'paths'> {
  readonly shapes: Shapes;
}

/**
 * Finds a ControlNet: one beside the models by its file name, the id it was converted from or its name in Swift; otherwise
 * at a path. Throws `NotFoundError` when there is none, `RequestError` for one of another family than the UNet and for a
 * model that is no ControlNet.
 */
export async function findControlNet(
  folder: DrawingFolder,
  name: string,
  unet: DrawnUnet,
): Promise<FoundControlNet> {
  const all = await controlNetsIn(folder);
  const found = all.find(({ paths: [path = ''] }) =>
    namesOf(path).some((each) => spellings(name).includes(each)),
  );
  if (!found && !(await locateArtifact(name))) throw unknown(folder, name, all);
  const paths = found?.paths ?? [resolve(name)];
  const shapes = await shapesOf({ paths });
  checkFamily(name, shapes, unet);
  return { paths, shapes };
}

async function controlNetsIn({ path, output }: DrawingFolder): Promise<ModelInFolder[]> {
  const folders = new Set([path, output, join(output, 'onnx'), join(output, 'Resources')]);
  const models: ModelInFolder[] = [];
  for (const folder of folders)
    models.push(...(await modelsIn(folder)), ...(await modelsIn(join(folder, 'controlnet'))));
  return models.filter(({ network }) => network !== undefined && networkKind(network) === 'controlnet');
}

function namesOf(path: string): readonly string[] {
  const origin = controlNetOrigin(modelName(path));
  return [basename(path), modelName(path), origin, swiftControlNetName(origin)];
}

/** Spellings of a name, which may be an id of the Hub, in file names. */
function spellings(name: string): readonly string[] {
  return [name, name.replaceAll('/', '_'), swiftControlNetName(name)];
}

function unknown({ path }: DrawingFolder, name: string, all: readonly ModelInFolder[]): NotFoundError {
  const names = all.map(({ paths: [each = ''] }) => controlNetOrigin(modelName(each)));
  return new NotFoundError({
    problem: `there is no ControlNet ${name} in ${path}.`,
    details: { 'there are': [...new Set(names)].join(', ') || 'none' },
    advice: `Convert it: sdconvert --model-version … --convert-controlnet ${shellWord(name)}`,
  });
}

function checkFamily(name: string, shapes: Shapes, unet: DrawnUnet): void {
  if (!shapes.has('controlnet_cond'))
    throw new RequestError({
      problem: `${name} is no ControlNet.`,
      details: { 'it takes': [...shapes.keys()].join(', ') },
    });
  const sizeOf = (of: Shapes) =>
    `latents of ${of.get('sample')?.[1]} channels, a text of ${textSizes(of).channels}${of.has('time_ids') ? ', sizes' : ''}`;
  const expected = new Map([...unet.shapes, ['sample', [2, LATENT_CHANNELS]] as const]);
  if (sizeOf(shapes) === sizeOf(expected)) return;
  throw new RequestError({
    problem: `${name} is a ControlNet of another family than the UNet.`,
    details: { 'the UNet takes': sizeOf(expected), 'the ControlNet takes': sizeOf(shapes) },
    advice: 'Use a ControlNet of the same family.',
  });
}
