import { join, relative } from 'node:path';
import { ValidationError } from '../../errors.ts';
import type { Stage } from '../../pipeline.ts';
import type { FoundModel } from '../../run/find-models.ts';
import { count } from '../../text.ts';
import { checkpointReference } from '../../validate/reference.ts';
import type { Verdict } from '../../validate/verdict.ts';
import { validateModels } from '../validate.ts';
import type { ConvertRequest } from './request.ts';
import type { Written } from './write.ts';

/** Runs what was written or kept beside the float32 reference. Throws `ValidationError` for what is below the floor, in dB. */
export function validateStage(
  minPsnr: number,
  quantization?: ConvertRequest['quantization'],
): Stage<Written, Written> {
  return {
    name: 'validate',
    async run(written, context) {
      const reference = checkpointReference(written.checkpoint, context);
      const verdicts = await validateModels(foundModels(written), reference, { minPsnr }, context);
      const failed = verdicts.filter(({ pass }) => !pass);
      if (failed.length > 0) throw tooFar(verdicts, written.output, quantization);
      const lowest = Math.min(...verdicts.map(lowestPsnr));
      return {
        output: { ...written, verdicts },
        detail: `${count(verdicts.length, 'model')}, lowest PSNR ${lowest.toFixed(1)} dB (floor ${minPsnr})`,
      };
    },
  };
}

/** The models that were written or kept, chunks together. */
function foundModels({ output, artifacts }: Written): FoundModel[] {
  const groups = Map.groupBy(artifacts, ({ target, model }) => `${target} ${model}`);
  return [...groups.values()].flatMap((parts) => {
    const paths = parts.map(({ path }) => join(output, path));
    return parts.slice(0, 1).map(({ model }) => ({ name: model, paths, root: output }));
  });
}

function lowestPsnr({ outputs }: Verdict): number {
  return Math.min(...outputs.map(({ psnr }) => psnr));
}

/** The verdict on every model, by path, so that it shows what passed, too. */
function tooFar(
  verdicts: readonly Verdict[],
  output: string,
  quantization: ConvertRequest['quantization'],
): ValidationError {
  const failed = verdicts.filter(({ pass }) => !pass).length;
  const rows = verdicts.map(({ paths, format, outputs, floor, pass }): [string, string] => [
    relative(output, paths[0] ?? ''),
    `${format}, ${outputs.map(({ name, psnr }) => `${name} ${psnr.toFixed(1)}`).join(', ')} dB, floor ${floor}${pass ? '' : ': too far'}`,
  ]);
  return new ValidationError({
    problem: `${count(failed, 'model')} ${failed === 1 ? 'is' : 'are'} too far from the float32 reference.`,
    details: Object.fromEntries(rows),
    advice: `The artifacts are kept for inspection. Try ${
      quantization
        ? `more than ${quantization.bits} bits (--quantize-nbits), mixed bits (sdconvert analyze),`
        : '--precision float16-weights or float32,'
    } or lower --min-psnr.`,
  });
}
