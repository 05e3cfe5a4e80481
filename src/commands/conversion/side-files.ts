import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { readSideJson, readSideText, type SideFile, sideFileCalled } from '../../checkpoint/side-file.ts';
import { addedTokens } from '../../checkpoint/tokenizer-files.ts';
import { tokenizerParts } from '../../checkpoint/tokenizer-parts.ts';
import { ConfigError, FileFormatError, type SdConvertError } from '../../errors.ts';
import { pipelineSettingsOf } from '../../formats/read-pipeline-settings.ts';
import { createScheduler } from '../../generate/schedulers/create-scheduler.ts';
import type { JsonObject } from '../../io/json/python-json.ts';
import { checkConfigFile } from '../../io/json/strict-json.ts';

/**
 * Reads the small files that come with the models, before any weight is read: what cannot be copied, what nobody can read and
 * numbers that nobody can compute with are refused. Notes tell what `generate` will refuse and others may know. Throws
 * `FileFormatError` and `ConfigError`.
 */
export async function checkSideFiles(checkpoint: Checkpoint, isBundled: boolean): Promise<readonly string[]> {
  const { folders } = checkpoint;
  await pipelineSettingsOf(checkpoint);
  const scheduler = await readSideJson(folders.get('scheduler') ?? [], 'scheduler_config.json');
  const notes = scheduler ? noteOnScheduler(scheduler) : [];
  if (!isBundled) return notes;
  for (const [folder, files] of folders) {
    for (const file of files) if (typeof file === 'string') await checkConfigFile(file);
    if (/^tokenizer(_\d+)?$/.test(folder)) notes.push(...(await noteOnTokenizer(folder, files)));
  }
  return notes;
}

function noteOnScheduler(config: JsonObject): string[] {
  try {
    createScheduler(config);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError) || isOutOfRange(error)) throw error;
    return [refusedLater('scheduler', error)];
  }
}

function isOutOfRange({ cause }: ConfigError): boolean {
  const [issue] = cause instanceof z.ZodError ? cause.issues : [];
  return issue?.code === 'too_big' || issue?.code === 'too_small';
}

async function noteOnTokenizer(folder: string, files: readonly SideFile[]): Promise<string[]> {
  const [vocab, merges] = [await textOf(files, 'vocab.json'), await textOf(files, 'merges.txt')];
  if (vocab === undefined || merges === undefined) return []; // told where they are needed
  const config = await readSideJson(files, 'tokenizer_config.json');
  const specialTokensMap = await readSideJson(files, 'special_tokens_map.json');
  const added = await addedTokens(files);
  try {
    tokenizerParts({ vocab, merges, added, config, specialTokensMap });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [refusedLater(folder, error)];
    if (!(error instanceof FileFormatError)) throw error;
    const { problem, details, advice = '' } = error;
    throw new FileFormatError(
      { problem: `${folder}: ${problem}`, details, advice: `${advice} --no-bundle converts without it.` },
      { cause: error },
    );
  }
}

async function textOf(files: readonly SideFile[], name: string): Promise<string | undefined> {
  const file = sideFileCalled(files, name);
  return file && readSideText(file);
}

function refusedLater(what: string, { problem, details }: SdConvertError): string {
  const { expected, found } = details;
  const why = expected === undefined ? '' : ` Expected: ${expected}; found: ${found}.`;
  return `the ${what} is copied as it is, and sdconvert generate will refuse it. ${problem}${why}`;
}
