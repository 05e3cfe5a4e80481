import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

/** Texts, without comments, that name a file of the repository: after a quote, a space or a bracket. */
const named = /^(?! *(?:\*|\/[/*])).*(?:['"`( ])((?:docs|examples|scripts|test|benchmarks)\/[\w./-]+\.\w+)/gm;

test('no help, note or error names a file that the package does not hold, but by its address', () => {
  const found = globSync('{cli,src}/**/*.ts', { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    // Their notes are for docs/clients.md alone.
    .filter((file) => !/^src\/bundle\/profiles\/.*-profiles\.ts$/.test(file))
    .flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(named)]
        .filter(([line]) => !line.includes('inRepository('))
        .map(([, path]) => `${file}: ${path}`),
    );
  expect(found).toEqual([]);
});
