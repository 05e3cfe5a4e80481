/**
 * Removes the declarations in dist/ that no entry of the package leads to: nobody can import them, and at 4 kB a file they are a
 * twentieth of an installation.
 */
import { globSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries: readonly { readonly types: string }[] = Object.values(exports);

const reached = new Set<string>();
for (const { types } of entries) reach(join(root, types));
const unreached = globSync('dist/types/**/*.d.ts', { cwd: root })
  .map((file) => join(root, file))
  .filter((file) => !reached.has(file));
for (const file of unreached) rmSync(file);
process.stdout.write(`declarations: ${reached.size} kept, ${unreached.length} removed\n`);

/** Follows what a declaration imports. Throws where that is not there. */
function reach(file: string): void {
  if (reached.has(file)) return;
  reached.add(file);
  for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g))
    reach(join(dirname(file), path.replace(/\.[jt]s$/, '.d.ts')));
}
