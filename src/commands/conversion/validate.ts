import { join } from 'node:path';
import { ValidationError } from '../../errors.ts';
import { pathFrom } from '../../io/path-from.ts';
import type { Stage } from '../../pipeline.ts';
import type { FoundModel } from '../../run/find-models.ts';
import { count } from '../../text.ts';
import { decibelText } from '../../validate/decibels.ts';
import { checkpointReference } from '../../validate/reference.ts';
import { areFinite, inBrief, type Verdict } from '../../validate/verdict.ts';
import { type Floor, validateModels } from '../validate.ts';
import type { Written } from './write.ts';

/** Compares written and reused models with the reference. Throws `ValidationError` below the floor (`minPsnr`, in dB). */
export function validateStage(floor: Floor): Stage<Written, Written> {
  return {
    name: 'validate',
    async run(written, context) {
      const reference = checkpointReference(written.checkpoint);
      const verdicts = await validateModels(foundModels(written), reference, floor, context);
      const failed = verdicts.filter(({ pass }) => !pass);
      if (failed.length > 0) throw tooFar(verdicts, written.output);
      return { output: { ...written, verdicts }, detail: inBrief(verdicts, floor.minPsnr) };
    },
  };
}

/**
 * Written and reused models, the chunks of each together. Of a model in several forms the first is taken: the others have
 * its weights and operations.
 */
function foundModels({ output, artifacts }: Written): FoundModel[] {
  const groups = Map.groupBy(artifacts, ({ target, model }) => `${target} ${model}`);
  return [...groups.values()].flatMap((forms) => {
    const parts = forms.filter(({ client }) => client === forms[0]?.client);
    const paths = parts.map(({ path }) => join(output, path));
    return parts.slice(0, 1).map(({ model }) => ({ name: model, paths, root: output }));
  });
}

/** The error lists every model by path, including those that passed. */
function tooFar(verdicts: readonly Verdict[], output: string): ValidationError {
  const failed = verdicts.filter(({ pass }) => !pass).length;
  const rows = verdicts.map(({ paths, format, outputs, floor, pass }): [string, string] => {
    const why = outputs.every(areFinite) ? ': too far' : ': not finite';
    return [
      pathFrom(output, paths[0] ?? ''),
      `${format}, ${outputs.map(({ name, psnr }) => `${name} ${decibelText(psnr)}`).join(', ')}, floor ${floor}${pass ? '' : why}`,
    ];
  });
  return new ValidationError({
    problem: `${count(failed, 'model')} ${failed === 1 ? 'is' : 'are'} too far from the float32 reference.`,
    details: Object.fromEntries(rows),
    advice:
      'The artifacts are kept for inspection. Try --precision float16-weights or float32, or lower --min-psnr.',
  });
}
