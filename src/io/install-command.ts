import { resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exists } from './disk.ts';
import { shellWord } from './shell-word.ts';

/** Where a command is to be run, and for which installation of sdconvert. */
interface Place {
  /** A file of that installation. */
  readonly file: string;
  /** The folder that the command is run in. */
  readonly current: string;
}

/**
 * The command that installs packages where sdconvert finds them: in the current folder only if it is installed there, since it
 * may as well be in another project, in the folder that npx made for it, or global.
 */
export async function installCommand(
  packages: readonly string[],
  { file, current }: Place = { file: fileURLToPath(import.meta.url), current: '.' },
): Promise<string> {
  const inModules = file.indexOf(`${sep}node_modules${sep}`);
  const project = inModules < 0 ? undefined : file.slice(0, inModules);
  const install = ['npm', 'install'];
  if (project !== undefined && !(await exists(`${project}${sep}package.json`))) install.push('--global');
  else if (project !== undefined && project !== resolve(current))
    install.push('--prefix', shellWord(project));
  return [...install, ...packages].join(' ');
}
