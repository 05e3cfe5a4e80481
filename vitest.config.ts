import { defineConfig } from 'vitest/config';
import { CountReporter } from './test/support/count-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', new CountReporter()],
    // A session of onnxruntime, or a child process, takes seconds where all cores are busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
