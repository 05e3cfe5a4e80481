import { dirname } from 'node:path';
import { RequestError } from '../errors.ts';
import type { StoredArtifact } from '../formats/artifact.ts';
import { isWithin } from '../io/path-from.ts';
import { realPlace } from '../io/real-place.ts';

/** The folder of a model, which it is or is in, without links on its way. */
function folderOfModel({ format, path }: Pick<StoredArtifact, 'format' | 'path'>): Promise<string> {
  return realPlace(format === 'onnx' ? dirname(path) : path);
}

/**
 * Throws `RequestError` for a result that is to be where it would take its source away (the model itself, or a folder that this is
 * in), or in a package, which is one thing for whoever loads it. Links are followed.
 */
export async function refuseNested(
  model: Pick<StoredArtifact, 'format' | 'path'>,
  output: string,
): Promise<void> {
  const [source, place] = await Promise.all([folderOfModel(model), realPlace(output)]);
  const advice = 'Name another path.';
  if (place === source)
    throw new RequestError({
      problem: `--output ${output} is the model itself.`,
      advice: 'Name another path, or pass --in-place instead, which cannot be undone.',
    });
  if (isWithin(source, place))
    throw new RequestError({ problem: `${output} holds the model itself, which would be gone.`, advice });
  if (model.format !== 'onnx' && isWithin(place, source))
    throw new RequestError({ problem: `${output} is in the model itself.`, advice });
}
