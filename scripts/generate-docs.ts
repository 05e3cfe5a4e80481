/**
 * `npm run docs`: writes `docs/cli.md`, each command's own help, `docs/clients.md`, what each client is written,
 * the numbers of `docs/fleet.md`, `docs/supported.md`, what the code can do, the counts in `docs/trust.md`, and from the rows of the benchmarks the tables of README and
 * `docs/drawing.md`, and a chart; the chart of `docs/quantization.md` from its table; with `--check` it only compares, and fails on a difference.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commandNames } from '../cli/commands.ts';
import { benchmarkChart, newestRows, withBenchmarks, withSteps } from './docs/benchmarks.ts';
import { clientsPage } from './docs/clients.ts';
import { fleetPage } from './docs/fleet.ts';
import { publishedSchemas } from './docs/json-schemas.ts';
import { modelsPage } from './docs/models.ts';
import { bitsChart } from './docs/quantization.ts';
import { supportedPage } from './docs/supported.ts';
import { trustPage } from './docs/trust.ts';

const root = join(import.meta.dirname, '..');

const benchmarks = newestRows(join(root, 'benchmarks/results/full-size.csv'));
const pages = {
  'docs/cli.md': commandLinePage(),
  'docs/clients.md': clientsPage(),
  'docs/supported.md': await supportedPage(),
  'docs/fleet.md': fleetPage(root),
  'docs/trust.md': trustPage(root),
  'README.md': withBenchmarks(readFileSync(join(root, 'README.md'), 'utf8'), benchmarks),
  'docs/drawing.md': withSteps(
    readFileSync(join(root, 'docs/drawing.md'), 'utf8'),
    newestRows(join(root, 'benchmarks/results/generate.csv')),
  ),
  'docs/images/full-size.svg': benchmarkChart(benchmarks),
  'docs/images/bits-and-quality.svg': bitsChart(readFileSync(join(root, 'docs/quantization.md'), 'utf8')),
  'docs/models.md': modelsPage(),
  ...Object.fromEntries(
    [...publishedSchemas()].map(([name, schema]) => [
      `docs/schemas/${name}`,
      `${JSON.stringify(schema, null, 2)}\n`,
    ]),
  ),
};

for (const [name, text] of Object.entries(pages)) {
  const path = join(root, name);
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    process.stderr.write(`${name} is not what the code says: run \`npm run docs\` and commit it.\n`);
    process.exitCode = 1;
  }
}

function commandLinePage(): string {
  const sections = commandNames.map((name) => `## ${name}\n\n\`\`\`text\n${help(name)}\n\`\`\`\n`);
  return ['# Command line\n', 'Written by `npm run docs` from the commands themselves.\n', ...sections].join(
    '\n',
  );
}

function help(command: string): string {
  return execFileSync(process.execPath, [join(root, 'cli/main.ts'), command, '--help', '--all'], {
    encoding: 'utf8',
  }).trimEnd();
}
