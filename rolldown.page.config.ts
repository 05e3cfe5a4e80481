import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

/** Builds the page that `sdconvert web` copies: a script and its worker, with the parts of the library that they use. */
export default defineConfig(
  ['page/ui/page.ts', 'page/worker/worker.ts'].map((input, index) => ({
    input,
    platform: 'browser' as const,
    tsconfig: `${input.slice(0, input.lastIndexOf('/'))}/tsconfig.json`,
    plugins: index === 0 ? [plainFiles()] : [],
    output: { dir: 'dist/page', entryFileNames: '[name].js', codeSplitting: false, minify: true },
  })),
);

/** Copies what is no script. */
function plainFiles(): Plugin {
  return {
    name: 'plain-files',
    writeBundle({ dir = '' }) {
      for (const name of ['index.html', 'style.css']) copyFileSync(join('page', name), join(dir, name));
    },
  };
}
