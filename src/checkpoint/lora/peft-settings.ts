import { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import { shown } from '../../io/error-text.ts';
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
});

/** Settings of PEFT that were checked. */
export type PeftSettings = z.output<typeof schema>;

/** Checks settings; `file` holds them. Throws `ConfigError` that names the setting. */
export function parsePeftSettings(settings: unknown, file: string): PeftSettings {
  const result = schema.safeParse(settings, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = issue?.path.join('.') || 'all of it';
  throw new ConfigError({
    problem: `${file} has a setting of the wrong type: ${name}.`,
    details: { found: shown(issue?.input), expected: issue ? wanted(issue) : '' },
    advice:
      'Take it from the same source as the LoRA again: with a wrong setting the LoRA would be merged wrongly.',
  });
}
