import { RequestError } from '../errors.ts';
import { openArtifact } from '../formats/open.ts';

/** Throws `RequestError` where rounding is asked for, and none of the models is for Core ML. */
export async function refuseRounding(
  { roundToFloat16 = false }: { readonly roundToFloat16?: boolean | undefined },
  paths: readonly string[],
): Promise<void> {
  if (!roundToFloat16) return;
  for (const path of paths) if ((await openArtifact(path)).format !== 'onnx') return;
  throw new RequestError({
    problem: '--round-to-float16 changes nothing: it is for Core ML models, and these are ONNX.',
    advice: 'Leave it out.',
  });
}
