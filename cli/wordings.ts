/** What yargs says of a command line, in our words: a sentence each, with the names it gives. */
const wordings: readonly (readonly [message: RegExp, sentence: (...found: string[]) => string])[] = [
  [/^Missing required arguments?: (.+)$/, (names = '') => `${options(names)} must be given.`],
  [/^Not enough arguments following: (.+)$/, (name = '') => `${options(name)} needs a value.`],
  [/^Missing argument values?: (.+)$/, (name = '') => `${options(name)} needs a value.`],
  [/^Unknown argument: (.+)$/, (name) => `${name} is neither an option nor an argument here.`],
  [/^Unknown arguments: (.+)$/, (names) => `${names} are neither options nor arguments here.`],
  [/^Not enough non-option arguments/, () => 'something is missing behind the name of the command.'],
  [
    /Argument: (.+), Given: (.+), Choices: (.+)/,
    (name = '', given = '', choices) => `${options(name)} does not take ${given}: choose from ${choices}.`,
  ],
];

/** A sentence for a message of yargs, which is English; what is not known stays as it is. */
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
