import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Ends a test run with the line that continuous integration adds up: `12 passed, 0 failed`, with `, 1 skipped` if any were. */
export class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    console.log(`\n${countLine(modules, unhandledErrors)}`);
  }
}

/**
 * Counts what a run came to. Failed are also: a file or suite with an error of its own (it did not load, or a hook threw,
 * and its tests never ran), an error that belongs to no test, and a test that was begun or queued but has no result.
 */
export function countLine(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): string {
  const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
  for (const module of modules) {
    if (module.errors().length > 0) counts.failed++;
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) counts.failed++;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      counts[state === 'pending' ? 'failed' : state]++;
    }
  }
  const { passed, failed, skipped } = counts;
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
