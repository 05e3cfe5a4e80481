import type { Context } from '../../context.ts';
import { isControlNet } from '../../inspect/inspect-artifact.ts';
import type { MeasuredVerdicts } from '../../report/facts/compare.ts';
import { type FoundModel, formatOfModel, modelsToCompare } from '../../run/find-models.ts';
import { openReference } from '../../validate/reference.ts';
import { validateModels } from '../validate.ts';
import type { ReportRequest } from './request.ts';

/** Random inputs for each timestep and each other case. */
const SEEDS = 2;

/**
 * Compares all models of a folder with a reference: as this machine computes, and Core ML packages again with every operation
 * rounded to float16. ControlNets, which no checkpoint holds, are left out. Throws what `validate` throws.
 */
export async function measureParity(
  request: ReportRequest & { readonly reference: string },
  context: Context,
): Promise<MeasuredVerdicts[]> {
  const { folder, reference: path, variant, minPsnr, maxMemoryBytes, tmpDir } = request;
  const all = await modelsToCompare(folder);
  const models = all.filter(({ name }) => !isControlNet(name));
  const packages: FoundModel[] = [];
  for (const model of models) if ((await formatOfModel(model)) === 'mlpackage') packages.push(model);
  const reference = await openReference(path, variant);
  try {
    const floor = { minPsnr, maxMemoryBytes, tmpDir, seeds: SEEDS };
    const exact = await validateModels(models, reference, floor, context);
    const rounded = await validateModels(packages, reference, { ...floor, roundToFloat16: true }, context);
    return [
      { arithmetic: 'exact', verdicts: exact },
      { arithmetic: 'rounded', verdicts: rounded },
    ];
  } finally {
    await reference.close();
  }
}
