import './memory.ts';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { InterruptedError, RequestError, SdConvertError } from '../src/errors.ts';
import { version } from '../src/version.ts';
import { checkValues } from './check-values.ts';
import { commandNames, commands, type ListedCommand } from './commands.ts';
import { stopOnInterrupt } from './interrupts.ts';
import { createReport, type Report } from './report.ts';
import { inOurWords } from './wordings.ts';

// Whoever reads may stop reading: that is no failure. Any other error of writing is one, and stderr may still tell.
process.stderr.on('error', () => {});
process.stdout
  .on('error', () => {})
  .once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`The result cannot be written to stdout: ${error.message}.\n`);
    process.once('exit', () => {
      process.exitCode ||= 1;
    });
  });

process.exitCode = await main(hideBin(process.argv));

/** Runs a command line and gives the exit code: 0 done, 1 the input or request is at fault, 2 our fault, 130 interrupted. */
async function main(args: readonly string[]): Promise<number> {
  const stop = stopOnInterrupt();
  let report = createReport({ json: args.includes('--json'), quiet: false }, stop);
  try {
    checkCommand(args[0]);
    let exitCode = 0;
    const cli = yargs([...args])
      .scriptName('sdconvert')
      .usage(
        '$0 [command] [options]\n\nStable Diffusion checkpoints to ONNX and Core ML, proven right, on any machine.',
      )
      .version(version)
      .option('json', {
        type: 'boolean',
        default: false,
        global: true,
        describe: 'Events and result as JSON lines on stdout',
      })
      .option('quiet', { type: 'boolean', default: false, global: true, describe: 'Show no progress' })
      .option('verbose', {
        type: 'boolean',
        default: false,
        global: true,
        describe: 'Show what an unexpected error came from',
      })
      .strict()
      .check(checkValues)
      .locale('en') // of the messages that `inOurWords` knows
      .demandCommand(0, 0)
      .wrap(Math.min(110, process.stdout.columns ?? 100))
      .epilogue('Each command has its own --help with an example: sdconvert validate --help')
      .exitProcess(false)
      .fail((message, error) => {
        throw error ?? new RequestError({ problem: inOurWords(message), advice: seeHelp(args[0]) });
      });
    for (const listed of commands) {
      if (!mayRun(listed, args)) {
        cli.command(listed.usage, listed.summary);
        continue;
      }
      const command = await listed.load();
      cli.command(listed.usage, listed.summary, command.options, async (argv) => {
        report = createReport({ json: argv.json === true, quiet: argv.quiet === true }, stop);
        exitCode = await command.run(argv, report);
      });
    }
    await cli.parseAsync();
    return exitCode;
  } catch (error) {
    return fail(error, report, args.includes('--verbose'));
  }
}

/** Whether a command line can mean this command; only such commands are loaded. */
function mayRun({ name }: ListedCommand, args: readonly string[]): boolean {
  const isDefault = name === commands[0].name && !commandNames.includes(args[0] ?? '');
  return isDefault || args.includes(name);
}

function seeHelp(word: string | undefined): string {
  const command = word !== undefined && commandNames.includes(word) ? ` ${word}` : '';
  return `See sdconvert${command} --help.`;
}

/** A first word that is no option must be a command; yargs would take it for an argument of the default one. */
function checkCommand(word: string | undefined): void {
  if (word === undefined || word.startsWith('-') || commandNames.includes(word)) return;
  throw new RequestError({
    problem: `there is no command called ${word}.`,
    details: { commands: commandNames.join(', ') },
    advice: `To convert a checkpoint: sdconvert --model-version ${word}`,
  });
}

function fail(error: unknown, report: Report, verbose: boolean): number {
  if (error instanceof SdConvertError) {
    report.failure(error);
    return error instanceof InterruptedError ? 130 : 1;
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
