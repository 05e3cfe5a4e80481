import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';
import manifest from './package.json' with { type: 'json' };

const workers = globSync('src/**/*-worker.ts').map((file) => [basename(file, '.ts'), file]);

/** Packages that an installation has; others are built in. */
const installed = [
  ...Object.keys(manifest.dependencies),
  ...Object.keys(manifest.optionalDependencies),
  ...Object.keys(manifest.peerDependencies),
];

/**
 * Builds the command line, the library and the scripts of threads and processes into few files that they share, all in `dist/js`:
 * what a command does not use is in files that it does not load (docs/decisions/0012-few-files.md). What draws charts is
 * a file of its own, with its library in it (docs/decisions/0027-charts-at-build-time.md).
 */
export default defineConfig([
  {
    input: {
      main: 'cli/main.ts',
      index: 'src/index.ts',
      browser: 'src/generate/browser.ts',
      ...Object.fromEntries(workers),
    },
    platform: 'node',
    external: (id) => installed.some((name) => id === name || id.startsWith(`${name}/`)),
    plugins: [chartsStayOutside(), plainTextWidth(), noBareImports()],
    output: { dir: 'dist/js', chunkFileNames: '[name].js' },
  },
  {
    input: 'src/report/charts/draw-charts.ts',
    platform: 'node',
    external: ['canvas', 'fastest-levenshtein'],
    output: { dir: 'dist/js', minify: true },
  },
]);

/** Leaves imports of what draws charts to the file that the second build writes beside the others. */
function chartsStayOutside(): Plugin {
  return {
    name: 'charts-stay-outside',
    resolveId: (source) =>
      source.endsWith('/draw-charts.ts') ? { id: './draw-charts.js', external: true } : null,
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

/**
 * Removes imports of Node's modules of which nothing is used: rolldown's helpers have one, in a file that `browser.js` shares, and
 * no page has such modules.
 */
function noBareImports(): Plugin {
  return {
    name: 'no-bare-imports',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle))
        if (chunk.type === 'chunk') chunk.code = chunk.code.replaceAll(/^import "node:[\w/]+";\n/gm, '');
    },
  };
}
