import { bundleCommand } from './commands/bundle.ts';
import { chunkCommand } from './commands/chunk.ts';
import type { Command } from './commands/command.ts';
import { compileCommand } from './commands/compile.ts';
import { convertCommand } from './commands/convert.ts';
import { downloadCommand } from './commands/download.ts';
import { generateCommand } from './commands/generate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { quantizeCommand } from './commands/quantize.ts';
import { runCommand } from './commands/run.ts';
import { validateCommand } from './commands/validate.ts';

/** Every command, in the order in which help lists them. */
export const commands: readonly Command[] = [
  convertCommand,
  downloadCommand,
  inspectCommand,
  validateCommand,
  runCommand,
  quantizeCommand,
  chunkCommand,
  compileCommand,
  bundleCommand,
  generateCommand,
];

/** Their names. */
export const commandNames: readonly string[] = commands.map(
  ({ usage }) => [usage].flat()[0]?.split(' ')[0] ?? '',
);
