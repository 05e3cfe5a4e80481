import { z } from 'zod';
import { FileFormatError } from '../../errors.ts';
import { isPlainPath } from '../../hub/hub-id.ts';
import { text } from '../../io/check-call.ts';
import { verdicts } from '../verdict-words.ts';
import type { StepResult } from './run-step.ts';
import { type QueueStep, queueSteps, type StepJob } from './step-job.ts';

/**
 * Whoever reaches a queue can put jobs into it: what becomes a path must be a plain one, and all that a step takes for granted
 * must be there. Options are those of a conversion, which judges them itself.
 */
const place = text.refine(isPlainPath);

const schema = z.looseObject({
  version: text,
  item: z.looseObject({
    id: z.string().regex(/^[0-9a-f]+$/),
    name: place,
    models: z.looseObject({ modelVersion: text }),
    options: z.looseObject({}),
    output: text,
    reference: text.optional(),
    referenceIdentity: text.optional(),
    floor: z.number().optional(),
  }),
  contents: text.optional(),
  results: text,
  publish: z.looseObject({ repo: text, path: place.or(z.literal('')) }).optional(),
  again: z.boolean().optional(),
});

/** The names of the steps, as jobs have them. */
const stepSchema = z.enum(queueSteps);

/** A job as it is in the queue, whoever put it there. */
export interface FoundJob {
  readonly name: string;
  readonly data: unknown;
}

/** What a job of this version says. Throws `FileFormatError` for one that `submit` did not put there. */
export function readStepJob({ name, data }: FoundJob): { readonly step: QueueStep; readonly job: StepJob } {
  const [step, job] = [stepSchema.safeParse(name), schema.safeParse(data)];
  if (!step.success || !job.success) throw strangeJob();
  // as: the conversion judges the options.
  return { step: step.data, job: job.data as StepJob };
}

const anyVersion = z.looseObject({
  version: text,
  item: z.looseObject({ id: text, name: text }),
});

/** The version of sdconvert that put a job into the queue. Throws `FileFormatError` for one that none did. */
export function versionOfJob({ data }: Pick<FoundJob, 'data'>): string {
  const found = anyVersion.safeParse(data);
  if (!found.success) throw strangeJob();
  return found.data.version;
}

/** What a job is called in notes: `convert dreamshaper/palette-6`. */
export function jobTitle({ name, data }: FoundJob): string {
  const { item } = anyVersion.safeParse(data).data ?? {};
  return item ? `${name} ${item.name}` : `${name}, a job of another program`;
}

/** What a list of jobs takes for granted of each. */
const listed = z.looseObject({
  item: z.looseObject({ floor: z.number().optional() }),
  results: text,
});

/** Checks what is shown of a job, whatever version it is of. Throws `FileFormatError` for one that `submit` did not put there. */
export function checkListed(job: Pick<FoundJob, 'data'>): void {
  versionOfJob(job);
  if (!listed.safeParse(job.data).success) throw strangeJob();
}

/** What a step gives, which anybody may have written into the queue as well. */
const resultSchema = z.object({
  bytes: z.number().min(0).optional(),
  psnr: z.union([z.number(), z.enum(['Infinity', '-Infinity'])]).optional(),
  reference: z.string().optional(),
  verdict: z.enum(verdicts).optional(),
  published: z.string().optional(),
});

/** The result of a job that is done; nothing where it has none. Throws `FileFormatError` for one that is no step's. */
export function resultOfJob({ returnvalue }: { readonly returnvalue: unknown }): StepResult {
  const { success, data } = resultSchema.safeParse(returnvalue ?? {});
  if (success) return data;
  throw strangeJob();
}

/** A job that `submit` did not put into the queue, or not as it is. */
export function strangeJob(cause?: unknown): FileFormatError {
  return new FileFormatError(
    {
      problem: 'the queue holds a job that sdconvert submit did not put there.',
      advice: 'Remove it, or name another Redis, or another of its databases: redis://HOST:PORT/1.',
    },
    { cause },
  );
}
