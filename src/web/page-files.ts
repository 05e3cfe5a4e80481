import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NotFoundError } from '../errors.ts';
import { exists } from '../io/disk.ts';

/** Where the build puts the page: the package is two folders up from here, and from `dist/js` that this is built into. */
const built = fileURLToPath(new URL('../../dist/page', import.meta.url));

/** What the build writes. */
export const pageNames = ['index.html', 'page.js', 'style.css', 'worker.js'];

/** Paths of the page's own files. Throws `NotFoundError` in a clone in which it was not built yet. */
export async function pageFiles(): Promise<string[]> {
  const paths = pageNames.map((name) => join(built, name));
  for (const path of paths)
    if (!(await exists(path)))
      throw new NotFoundError({
        problem: 'the page has not been built.',
        details: { 'looked for': path },
        advice: 'Build it in the clone: npm run build:page',
      });
  return paths;
}
