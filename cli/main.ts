import './memory.ts';
import { hideBin } from 'yargs/helpers';
import { stopOnInterrupt } from './interrupts.ts';
import { runCommandLine } from './run-command-line.ts';

// A closed pipe (EPIPE) is no failure: the reader may stop reading. Any other write error is one, reported on stderr.
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

process.exitCode = await runCommandLine(hideBin(process.argv), stopOnInterrupt());
