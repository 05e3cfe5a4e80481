import { defineConfig, type Plugin } from 'rolldown';

/**
 * Builds the command line: `dist/cli/main.js` with its argument parser in it, and a file for each command, loaded when it
 * is used. The library stays as tsc writes it (docs/decisions/0012-one-file-for-the-command-line.md), but for the file that draws
 * charts, which gets its library built in (docs/decisions/0027-charts-at-build-time.md).
 */
export default defineConfig([
  {
    input: 'cli/main.ts',
    platform: 'node',
    external: ['listr2'],
    plugins: [libraryStaysOutside(), plainTextWidth()],
    output: { dir: 'dist/cli', chunkFileNames: '[name].js', cleanDir: true },
  },
  {
    input: 'src/report/charts/draw-charts.ts',
    platform: 'node',
    external: ['canvas', 'fastest-levenshtein'],
    output: { file: 'dist/src/report/charts/draw-charts.js', minify: true },
  },
]);

/** Leaves imports of `../src/` to the files that tsc writes beside `dist/cli`: workers and assets are found from there. */
function libraryStaysOutside(): Plugin {
  return {
    name: 'library-stays-outside',
    resolveId(source) {
      const [, path] = /^(?:\.\.\/)+src\/(.+)\.ts$/.exec(source) ?? [];
      return path === undefined ? null : { id: `../src/${path}.js`, external: true };
    },
  };
}

/**
 * How wide a text is on a terminal, for yargs' help. The package that yargs brings builds tables of emoji for it, which is
 * most of the time that `--help` takes; our help has only characters of one column.
 */
function plainTextWidth(): Plugin {
  const id = '\0plain-text-width';
  return {
    name: 'plain-text-width',
    resolveId: (source) => (source === 'string-width' ? id : null),
    load: (loaded) => (loaded === id ? 'export default (text) => [...text].length;' : null),
  };
}
