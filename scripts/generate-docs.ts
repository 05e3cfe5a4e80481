/**
 * `npm run docs`: writes `docs/cli.md`, each command's own help; with `--check` it only compares, and fails on a
 * difference.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandNames } from '../cli/commands.ts';

const root = join(import.meta.dirname, '..');
const path = join(root, 'docs/cli.md');

const sections = commandNames.map((name) => `## ${name}\n\n\`\`\`text\n${help(name)}\n\`\`\`\n`);
const text = [
  '# Command line\n',
  'Written by `npm run docs` from the commands themselves.\n',
  ...sections,
].join('\n');

if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  process.stderr.write('docs/cli.md is not what the commands say: run `npm run docs` and commit it.\n');
  process.exitCode = 1;
}

function help(command: string): string {
  return execFileSync(process.execPath, [join(root, 'cli/main.ts'), command, '--help'], {
    encoding: 'utf8',
  }).trimEnd();
}
