import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import { readSideJson, readSideText, type SideFile, sideFileCalled } from '../../checkpoint/side-file.ts';
import { tokensIn } from '../../checkpoint/tokenizer-files.ts';
import {
  readVocab,
  type TokenizerParts,
  tokenizerParts,
  type Vocab,
} from '../../checkpoint/tokenizer-parts.ts';
import { countWords, notesOnWords, type WordCounts } from '../../checkpoint/tokenizer-words.ts';
import { ConfigError, FileFormatError, type SdConvertError } from '../../errors.ts';
import { pipelineSettingsOf } from '../../formats/read-pipeline-settings.ts';
import { createScheduler } from '../../generate/schedulers/create-scheduler.ts';
import { shown } from '../../io/error-text.ts';
import { inFile } from '../../io/in-file.ts';
import { DAMAGED, type JsonObject } from '../../io/json/python-json.ts';
import { checkConfigFile, strictJson } from '../../io/json/strict-json.ts';

/**
 * Reads the small files that come with the models, before any weight is read: what cannot be copied, what nobody can read and
 * numbers that nobody can compute with are refused. Notes tell what `generate` will refuse and others may know. Throws
 * `FileFormatError` and `ConfigError`.
 */
export async function checkSideFiles(checkpoint: Checkpoint, isBundled: boolean): Promise<readonly string[]> {
  const { folders } = checkpoint;
  await pipelineSettingsOf(checkpoint);
  const scheduler = await readSideJson(folders.get('scheduler') ?? [], SCHEDULER);
  const notes = scheduler ? noteOnScheduler(scheduler, pathIn(folders.get('scheduler'), SCHEDULER)) : [];
  if (!isBundled) return notes;
  strictJson(checkpoint.modelIndex, join(checkpoint.path, 'model_index.json'), 0);
  const vocabularies: Vocabularies = new Map();
  for (const [folder, files] of folders) {
    const words = /^tokenizer(_\d+)?$/.test(folder) ? wordsAmong(files) : undefined;
    // Reading the tokenizer tells what is wrong with its words: 50,000 are not parsed twice.
    const others = files.filter((file) => file !== words?.vocab);
    for (const file of others) if (typeof file === 'string') await checkConfigFile(file);
    if (!words) continue;
    try {
      notes.push(...(await noteOnTokenizer(checkpoint, folder, words, vocabularies)));
    } catch (error) {
      throw inFile(error, placeOf(checkpoint, folder));
    }
  }
  return notes;
}

const SCHEDULER = 'scheduler_config.json';
const VOCAB = 'vocab.json';
const MERGES = 'merges.txt';

/** What vocabularies hold, by their text: XL's two tokenizers have the same. */
type Vocabularies = Map<string, Vocab>;

/** The files of a tokenizer's words. */
interface WordFiles {
  readonly vocab: SideFile;
  readonly merges: SideFile;
}

/** A tokenizer's words among its files; where they are not there, that is told where they are needed. */
function wordsAmong(files: readonly SideFile[]): WordFiles | undefined {
  const [vocab, merges] = [sideFileCalled(files, VOCAB), sideFileCalled(files, MERGES)];
  return vocab !== undefined && merges !== undefined ? { vocab, merges } : undefined;
}

/** More options than all schedulers together have. */
const MOST_OPTIONS = 1000;

function noteOnScheduler(config: JsonObject, path: string): string[] {
  const { length } = Object.keys(config);
  if (length > MOST_OPTIONS)
    throw new ConfigError({
      problem: `${path} has ${length.toLocaleString('en')} options, more than any scheduler.`,
      advice: DAMAGED,
    });
  try {
    createScheduler(config);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError) || isOutOfRange(error)) throw inFile(error, path);
    return [refusedLater('scheduler', error)];
  }
}

function isOutOfRange({ cause }: ConfigError): boolean {
  const [issue] = cause instanceof z.ZodError ? cause.issues : [];
  return issue?.code === 'too_big' || issue?.code === 'too_small';
}

async function noteOnTokenizer(
  { folders, components }: Checkpoint,
  folder: string,
  wordFiles: WordFiles,
  vocabularies: Vocabularies,
): Promise<string[]> {
  const files = folders.get(folder) ?? [];
  const [vocab, merges] = [await readSideText(wordFiles.vocab), await readSideText(wordFiles.merges)];
  const config = await readSideJson(files, 'tokenizer_config.json');
  const specialTokensMap = await readSideJson(files, 'special_tokens_map.json');
  const added = tokensIn(await readSideJson(files, 'added_tokens.json'), config);
  try {
    const words = vocabularies.get(vocab) ?? readVocab(vocab);
    vocabularies.set(vocab, words);
    const parts = tokenizerParts({ vocab, merges, added, config, specialTokensMap }, words);
    const encoder = components.get(folder.replace('tokenizer', 'text_encoder'));
    const facts = factsOf(parts, added, config?.model_max_length);
    return [...notesOnWords(folder, facts), ...(encoder ? notesOnFit(folder, encoder, facts) : [])];
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

/** What of a tokenizer its text encoder does not take: the same words of a prompt fail in every client. */
function notesOnFit(
  folder: string,
  { name, config: { vocab_size: words, max_position_embeddings: tokens } }: Component,
  { largest, length }: TokenizerFacts,
): string[] {
  return [
    ...(typeof words === 'number' && largest >= words
      ? [
          `the ${folder} has tokens up to number ${largest}, and the ${name} knows ${words}: prompts with the others cannot be drawn.`,
        ]
      : []),
    ...(length !== undefined && typeof tokens === 'number' && length !== tokens
      ? [
          `the ${folder} fills prompts up to ${shown(length)} tokens (model_max_length), and the ${name} takes ${shown(tokens)}: clients that read it cannot draw.`,
        ]
      : []),
  ];
}

/** Counts of a tokenizer's words, and what else its text encoder must fit. */
interface TokenizerFacts extends WordCounts {
  /** `model_max_length` of its config. */
  readonly length: unknown;
}

function factsOf(parts: TokenizerParts, added: ReadonlyMap<string, number>, length: unknown): TokenizerFacts {
  return { ...countWords(parts, added), length };
}

/** The folder of a component's small files, also where those that were read are made of others. */
function placeOf({ path, folders }: Checkpoint, folder: string): string {
  const file = folders.get(folder)?.find((each) => typeof each === 'string');
  return typeof file === 'string' ? dirname(file) : join(path, folder);
}

function pathIn(files: readonly SideFile[] = [], name: string): string {
  const file = sideFileCalled(files, name);
  return typeof file === 'string' ? file : name;
}

function refusedLater(what: string, { problem, details }: SdConvertError): string {
  const { expected, found } = details;
  const why = expected === undefined ? '' : ` Expected: ${expected}; found: ${found}.`;
  return `the ${what} is copied as it is, and sdconvert generate will refuse it. ${problem}${why}`;
}
