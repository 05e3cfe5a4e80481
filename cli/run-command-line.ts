import yargs, { type Argv } from 'yargs';
import { InterruptedError, RequestError, SdConvertError } from '../src/errors.ts';
import { exhausted } from '../src/io/exhausted.ts';
import { version } from '../src/version.ts';
import { checkOptions } from './check-values.ts';
import { literally, noSuchOptions, readCommandLine, unknownOptions } from './command-line.ts';
import { commandNames, commands, type ListedCommand } from './commands.ts';
import { declaredNames } from './declared-options.ts';
import { checkNeededOptions } from './needed-options.ts';
import { createReport, type Report } from './report.ts';
import { inOurWords } from './wordings.ts';

/** The options of every command. */
const globalOptions = ['json', 'quiet', 'verbose', 'all', 'help', 'version'];

/**
 * Runs a command line and gives its exit code: 0 success, 1 wrong input or request, 2 defect of sdconvert, 130 interrupted by
 * `stop`.
 */
export async function runCommandLine(given: readonly string[], stop: AbortSignal): Promise<number> {
  let report = createReport({ json: given.includes('--json'), quiet: false }, stop);
  try {
    requireCurrentFolder();
    const args = readCommandLine(given);
    let exitCode = 0;
    const cli = yargs(literally(args))
      .scriptName('sdconvert')
      .usage(
        '$0 [command] [options]\n\nConverts Stable Diffusion checkpoints to ONNX, Core ML and Core AI on any machine, and checks the results.',
      )
      .version(version)
      .alias('v', 'version')
      .alias('h', 'help')
      .option('json', {
        type: 'boolean',
        default: false,
        global: true,
        describe: 'Print events and result as JSON lines on stdout',
      })
      .option('quiet', { type: 'boolean', default: false, global: true, describe: 'Hide progress and notes' })
      .option('verbose', {
        type: 'boolean',
        default: false,
        global: true,
        describe: 'Show the stack trace of an unexpected error',
      })
      .strict()
      .parserConfiguration({ 'dot-notation': false })
      .check((argv, declared) => checkOptions(args, argv, declared))
      .locale('en') // `inOurWords` matches English messages
      .demandCommand(0, 0)
      .wrap(Math.min(110, process.stdout.columns ?? 100))
      .epilogue(
        'All options: --help --all. Each command has its own help with an example: sdconvert validate --help',
      )
      .exitProcess(false)
      .option('all', { type: 'boolean', global: true, describe: 'With --help: show every option' })
      .fail((message, error) => {
        const known = declaredNames(cli);
        const unknown = unknownOptions(args, known);
        if (unknown.length > 0) throw noSuchOptions(unknown, known, seeHelp(args[0]));
        throw error ?? new RequestError({ problem: inOurWords(message), advice: seeHelp(args[0]) });
      });
    for (const listed of commands) {
      if (!mayRun(listed, args)) {
        cli.command(listed.usage, listed.summary);
        continue;
      }
      const command = await listed.load();
      // Groups are shown in the order in which they are made; yargs itself would put a command's own options last.
      const declare = (yargs: Argv): Argv =>
        command
          .options(yargs.group([], 'Positionals:').group([], 'Options:'), { all: args.includes('--all') })
          .group(globalOptions, 'Global options:');
      cli.command(listed.usage, listed.summary, declare, async (argv) => {
        report = createReport({ json: argv.json === true, quiet: argv.quiet === true }, stop);
        checkNeededOptions(command.needed ?? [], args, argv);
        exitCode = await command.run(argv, report);
      });
    }
    await cli.parseAsync();
    return exitCode;
  } catch (error) {
    return fail(error, report, given.includes('--verbose'));
  }
}

/** Paths are relative to it, and Node fails where it was removed. */
function requireCurrentFolder(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw noCurrentFolder(cause) ?? cause;
  }
}

/** The error for a current folder that is gone, also since the work began; `undefined` for any other. */
function noCurrentFolder(cause: unknown): RequestError | undefined {
  if (Reflect.get(Object(cause), 'syscall') !== 'uv_cwd') return undefined;
  return new RequestError(
    {
      problem: 'the current folder does not exist any more.',
      advice: 'Change into one that does, and run this again.',
    },
    { cause },
  );
}

/** Whether a command line may use this command; only such commands are loaded. */
function mayRun({ name }: ListedCommand, args: readonly string[]): boolean {
  const isDefault = name === commands[0].name && !commandNames.includes(args[0] ?? '');
  return isDefault || args.includes(name);
}

function seeHelp(word: string | undefined): string {
  const command = word !== undefined && commandNames.includes(word) ? ` ${word}` : '';
  return `See sdconvert${command} --help.`;
}

function fail(error: unknown, report: Report, verbose: boolean): number {
  const known = error instanceof SdConvertError ? error : (exhausted(error) ?? noCurrentFolder(error));
  if (known) {
    report.failure(known);
    return known instanceof InterruptedError ? 130 : 1;
  }
  const cause = error instanceof Error ? error : new Error(String(error));
  report.failure(
    new SdConvertError({
      problem: `this is a defect of sdconvert, not of your input: ${cause.message}`,
      details: verbose ? { stack: cause.stack ?? '' } : {},
      advice: verbose
        ? 'Please report it with the command line and the text above.'
        : 'Run again with --verbose and report what it prints.',
    }),
  );
  return 2;
}
