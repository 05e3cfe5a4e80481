import type { Argv } from 'yargs';
import type { ClientCheck } from '../../src/bundle/check-clients.ts';
import type { VerifyResult } from '../../src/commands/verify.ts';
import { ValidationError } from '../../src/errors.ts';
import { shellWord } from '../../src/io/shell-word.ts';
import { count, onOneLine } from '../../src/text.ts';
import { forOption, parseClients } from '../clients.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { NeededOption } from '../needed-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** Hashes are compared without the Hub. */
const verifyNeeds: readonly NeededOption[] = ['revision', 'token', 'offline'].map((option) => ({
  option,
  needs: '--for',
  isMet: (argv) => argv.for !== undefined,
}));

/** `sdconvert verify OUT`: checks files against their recorded hashes. */
export const verifyCommand: Command = {
  options: declare,
  needed: verifyNeeds,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { verify } = await import('../../src/commands/verify.ts');
    const { path, ...args } = argv as Arguments;
    const clients = parseClients(args.for);
    const request = { path, clients, hub: await hubOptions(args) };
    const stages = clients ? await withDownload(['verify'], path) : ['verify'];
    const result = await report.follow(stages, (context) => verify(request, context));
    report.result(
      result,
      result.problems.length > 0
        ? result.problems.map((problem) => onOneLine(problem)).join('\n')
        : describe(result),
    );
    if (result.problems.length === 0) return 0;
    report.failure(clients ? wouldRefuse(result) : hasChanged(result));
    return 1;
  },
};

function describe({ path, files, clients }: VerifyResult): string {
  const all = `${path}: ${count(files, 'file')}`;
  const names = clients?.map(({ client }) => client) ?? [];
  if (names.length > 0) return `${all}, as ${names.join(', ')} ${names.length === 1 ? 'loads' : 'load'} them`;
  return `${all}, ${files === 1 ? 'unchanged' : 'all unchanged'}`;
}

/** The error for what clients would refuse, with the commands that mend it; there may be none. */
export function wouldRefuse({ path, problems, clients = [] }: VerifyResult): ValidationError {
  const refusing = clients.filter((each) => each.problems.length > 0);
  const names = (some: readonly ClientCheck[]) => some.map(({ client }) => client).join(', ');
  const commands = refusing.flatMap(({ mend }) => mend ?? []);
  const unmended = refusing.filter(({ mend }) => mend === undefined);
  return new ValidationError({
    problem: `${names(refusing)} would refuse ${path}: ${count(problems.length, 'problem')}.`,
    advice: [
      ...(unmended.length > 0
        ? [`What ${names(unmended)} would refuse is the checkpoint’s own: no conversion mends it.`]
        : []),
      ...(commands.length > 0 ? [`To mend it: ${commands.join('; ')}`] : []),
    ].join(' '),
  });
}

function hasChanged({ path, problems, repo }: VerifyResult): ValidationError {
  const them = problems.length === 1 ? 'it' : 'them';
  return new ValidationError({
    problem: `${path} is not as it was ${repo === undefined ? 'written' : 'downloaded'}: ${count(problems.length, 'problem')}.`,
    advice:
      repo === undefined
        ? 'Convert again, with --force where files have changed, or copy the damaged files again.'
        : `Remove ${them}, and what needs ${them} downloads ${them} again: sdconvert download ${shellWord(repo)}`,
  });
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('path', {
      type: 'string',
      demandOption: true,
      describe:
        'A conversion’s output folder, or a repository in the Hub’s cache (its id or its folder); with --for any folder of models, or models on the Hub',
    })
    .option('for', forOption())
    .example('$0 verify ./stable-diffusion-v1-5', 'compares the SHA-256 of every file with sdconvert.json')
    .example('$0 verify ./stable-diffusion-v1-5 --for mochi', 'says what Mochi Diffusion would refuse')
    .example('$0 verify org/name', 'compares the downloaded files of org/name with the Hub’s hashes');
}
