import { z } from 'zod';
import { ConfigError, UnsupportedModelError } from '../../errors.ts';
import { quote, shown } from '../../io/error-text.ts';
import { wanted } from '../../io/wanted.ts';

/** A number, or nothing where a trainer wrote null. */
const number = z.number().nullish();

/** The settings of PEFT by which a LoRA becomes stronger or weaker; with one of another type it would be merged wrongly. */
const schema = z.looseObject({
  r: z.int().min(0).nullish(),
  lora_alpha: number,
  /** What LoHa and LoKr call it. */
  alpha: number,
  use_rslora: z.boolean().nullish(),
  /** By the end of a module's name. */
  rank_pattern: z.record(z.string(), z.int().min(0)).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  init_lora_weights: z.unknown().optional(),
});

/** Of PEFT's ways to begin, those that change the weights below the LoRA: added to a checkpoint's, it is another model. */
const CHANGES_WEIGHTS = /^(pissa|olora|corda|loftq|lora_ga)/i;

/** Any name of a module, whole where it begins with `^`; PEFT also takes regular expressions. */
const NAME = /^\^?[\w.-]*$/;

/** Settings of PEFT that were checked. */
export type PeftSettings = z.output<typeof schema>;

/**
 * Checks settings; `file` holds them. Throws `ConfigError` that names the setting, and `UnsupportedModelError` for those with which a LoRA
 * would be merged wrongly.
 */
export function parsePeftSettings(settings: unknown, file: string): PeftSettings {
  const result = schema.safeParse(settings, { reportInput: true });
  if (result.success) return checkMeant(result.data, file);
  const [issue] = result.error.issues;
  const name = issue?.path.join('.') || 'all of it';
  throw new ConfigError({
    problem: `${file} has a setting of the wrong type: ${name}.`,
    details: { found: shown(issue?.input), expected: issue ? wanted(issue) : '' },
    advice:
      'Take it from the same source as the LoRA again: with a wrong setting the LoRA would be merged wrongly.',
  });
}

function checkMeant(settings: PeftSettings, file: string): PeftSettings {
  const { init_lora_weights: begin } = settings;
  if (typeof begin === 'string' && CHANGES_WEIGHTS.test(begin))
    throw new UnsupportedModelError({
      problem: `${file} is of a LoRA that belongs to other weights than the checkpoint’s: it began with init_lora_weights = ${quote(begin)}.`,
      advice:
        'Save it as a plain LoRA with PEFT: save_pretrained with path_initial_model_for_weight_conversion.',
    });
  for (const key of ['alpha_pattern', 'rank_pattern'] as const) {
    const odd = Object.keys(settings[key] ?? {}).find((name) => !NAME.test(name));
    if (odd === undefined) continue;
    throw new UnsupportedModelError({
      problem: `${file} names modules in ${key} by a regular expression.`,
      details: { found: quote(odd), expected: 'the names of modules, or their ends' },
      advice: 'Write an entry for each module that it means.',
    });
  }
  return settings;
}
