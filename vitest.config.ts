import { globSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { CountReporter } from './test/support/count-reporter.ts';

/**
 * The tests of whole commands and processes, and those that run or draw with whole checkpoints: most of the time of all.
 * `npm test` leaves them out, `npm run test:all` does not.
 */
const slow = [
  'test/benchmarks/measure.test.ts',
  'test/bin/built-command.test.ts',
  'test/ci/run.test.ts',
  'test/cli/**/*.test.ts',
  'test/commands/**/*.test.ts',
  'test/convert/{recordings,safety-checker,unet,variants}.test.ts',
  'test/fleet/batch.test.ts',
  'test/fleet/queue/queue.test.ts',
  'test/formats/coreml/compiled/apple-compiler.test.ts',
  'test/formats/coreml/{mil-artifact,split-mil}.test.ts',
  'test/formats/onnx/split-onnx.test.ts',
  'test/generate/whole-runs.test.ts',
  'test/hunt/kills/kills.test.ts',
  'test/hunt/{judge,watch}.test.ts',
  'test/mixed-bits/measure.test.ts',
  'test/run/run-in-parts.test.ts',
  'test/scripts/supported.test.ts',
];
for (const pattern of slow)
  if (globSync(pattern).length === 0) throw new Error(`${pattern} names no test any more`);

export default defineConfig({
  test: {
    // Before any worker starts.
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/seeded-properties.ts',
    reporters: ['default', new CountReporter()],
    projects: [
      { extends: true, test: { name: 'fast', include: ['test/**/*.test.ts'], exclude: slow } },
      { extends: true, test: { name: 'slow', include: slow } },
    ],
    // A session of onnxruntime, or a child process, takes seconds where all cores are busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
