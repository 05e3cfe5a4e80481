import { nearestOf } from '../src/text.ts';

/** Messages of yargs, and the sentences that replace them. */
const wordings: readonly (readonly [message: RegExp, sentence: (...found: string[]) => string])[] = [
  [/^Missing required arguments?: (.+)$/, (names = '') => `${options(names)} must be given.`],
  [/^Not enough arguments following: (.+)$/, (name = '') => `${options(name)} needs a value.`],
  [/^Missing argument values?: (.+)$/, (name = '') => `${options(name)} needs a value.`],
  [/^Unknown argument: (.+)$/, (name) => `${name} is neither an option nor an argument here.`],
  [/^Unknown arguments: (.+)$/, (names) => `${names} are neither options nor arguments here.`],
  [/^Not enough non-option arguments/, () => 'an argument is missing after the command.'],
  [
    /Argument: (.+), Given: (.+), Choices: (.+)/,
    (name = '', given = '', choices = '') => {
      const nearest = nearestOf(given, choices.split(', '));
      const question = nearest === undefined ? 'choose' : `did you mean ${nearest}? Choose`;
      return `${options(name)} does not take ${given}: ${question} from ${choices}.`;
    },
  ],
];

/** Rewrites an English message of yargs as a sentence; unknown messages stay as they are. */
export function inOurWords(message: string): string {
  for (const [pattern, sentence] of wordings) {
    const [found, ...names] = pattern.exec(message) ?? [];
    if (found !== undefined) return sentence(...names);
  }
  return `${message.replace(/\.?$/, '.')}`;
}

/** `reference, min-psnr` → `--reference, --min-psnr`. */
function options(names: string): string {
  return names.replaceAll(/[\w-]+/g, (name) => (name.length === 1 ? `-${name}` : `--${name}`));
}
