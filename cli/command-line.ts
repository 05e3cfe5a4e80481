import { existsSync } from 'node:fs';
import { RequestError } from '../src/errors.ts';
import { shellWord } from '../src/io/shell-word.ts';
import { nearestOf } from '../src/text.ts';
import { fromApplesOptions } from './apple-options.ts';
import { commandNames } from './commands.ts';
import { kebab } from './kebab.ts';

/** Apple's tools, and the command that does the same. */
const appleTools: Readonly<Record<string, string>> = {
  torch2coreml: 'convert',
  pipeline: 'generate',
  StableDiffusionSample: 'generate',
  chunk_mlprogram: 'chunk',
  mixed_bit_compression_apply: 'quantize',
};

/** Apple's tools without a counterpart here, and what to do instead. */
const appleOnly: Readonly<Record<string, string>> = {
  mixed_bit_compression_pre_analysis:
    'Measure the weights of the ONNX UNet with sdconvert analyze: its recipe also fits Core ML packages.',
  activation_quantization: 'Activations stay in float16; quantise the weights with --quantize-nbits.',
  multilingual_projection: 'Multilingual text encoders are not converted.',
};

/**
 * Rewrites a command line for yargs: `help` becomes an option, a model is one to convert, and Apple's tools become commands.
 * Throws `RequestError` for a first word that is neither a command nor a model, and suggests the nearest command.
 */
export function readCommandLine(args: readonly string[]): readonly string[] {
  const [given, ...rest] = args;
  if (given === undefined) return ['--help'];
  if (given === 'help') return rest[0] === undefined ? ['--help'] : [commandCalled(rest[0]), '--help'];
  // As Python runs Apple's tools: -m python_coreml_stable_diffusion.torch2coreml.
  if (given === '-m' && rest.length > 0) return readCommandLine(rest);
  const word = given.replace(/^python_coreml_stable_diffusion\./, '');
  if (given.startsWith('-') || commandNames.includes(word)) return fromApplesOptions(args);
  const command = appleTools[word];
  if (command !== undefined) return readCommandLine([command, ...rest]);
  const instead = appleOnly[word];
  if (instead !== undefined)
    throw new RequestError({ problem: `Apple’s ${word} has no counterpart here.`, advice: instead });
  // An empty one is told as such: a variable of the shell is unset.
  if (isModel(given) || given === '') return ['convert', ...args];
  throw noSuchCommand(word, `To convert a checkpoint of that name: sdconvert ${shellWord(`./${word}`)}`);
}

/** The command that a word means, which may be a tool of Apple's. Throws `RequestError`. */
function commandCalled(word: string): string {
  const command = appleTools[word.replace(/^python_coreml_stable_diffusion\./, '')] ?? word;
  if (commandNames.includes(command) || command.startsWith('-')) return command;
  throw noSuchCommand(word, 'sdconvert help lists all commands.');
}

function noSuchCommand(word: string, advice: string): RequestError {
  const nearest = nearestOf(word, commandNames);
  return new RequestError({
    problem: `there is no command called ${word}.`,
    details: { commands: commandNames.join(', ') },
    advice: nearest ? `Did you mean sdconvert ${nearest}? ${advice}` : advice,
  });
}

/** Whether a word is a path or an id, which contain characters that no command has, or an existing folder. */
function isModel(word: string): boolean {
  return /[/\\.:~]/.test(word) || existsSync(word);
}

/** Options that are not declared, as they were given, each once. `known`: all declared names and aliases. */
export function unknownOptions(args: readonly string[], known: ReadonlySet<string>): string[] {
  const end = args.indexOf('--');
  const names = args.slice(0, end < 0 ? args.length : end).flatMap((arg) => {
    // After one dash a single letter is an option: in -seed, yargs would see four.
    const [, name] = /^(--[^=]+|-[a-z][a-z_-][\w-]*|-[a-z])/i.exec(arg) ?? [];
    return name === undefined ? [] : [name];
  });
  // yargs takes camel case, but no underscores.
  const isKnown = (option: string): boolean => {
    const name = option.slice(2);
    const isSpelled =
      known.has(name) ||
      (!name.includes('_') && known.has(kebab(name))) ||
      known.has(name.replace(/^no-/, ''));
    return option.startsWith('--') ? isSpelled : option.length === 2 && known.has(option.slice(1));
  };
  return [...new Set(names)].filter((name) => !isKnown(name));
}

/** Builds the error for unknown options. */
export function noSuchOptions(
  unknown: readonly string[],
  known: ReadonlySet<string>,
  help: string,
): RequestError {
  const [first = ''] = unknown;
  const nearest = nearestOf(kebab(first.replace(/^-+/, '')), [...known]);
  const names = unknown.join(', ');
  return new RequestError({
    problem:
      unknown.length === 1 ? `there is no option ${names} here.` : `there are no options ${names} here.`,
    advice: nearest ? `Did you mean --${nearest}? ${help}` : help,
  });
}

/** Arguments as yargs has to be given them: of a value in quotes behind a `=` it takes them off, though the shell has left them there. */
export function literally(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.map((arg, at) => {
    const [, option, quote, inside] = /^(--[^=]+=)(["'])(.*)\2$/s.exec(arg) ?? [];
    const isOption = option !== undefined && (end < 0 || at < end);
    return isOption ? `${option}${quote}${quote}${inside}${quote}${quote}` : arg;
  });
}
