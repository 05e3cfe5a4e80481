import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** What a page may import, each with everything behind it. */
const entries = [
  'generate/schedulers/create-scheduler.ts',
  'generate/schedulers/scheduler-names.ts',
  'generate/schedulers/schedule/flow-shift.ts',
  'generate/clip-tokenizer.ts',
  'generate/prompt/prompt-chunks.ts',
  'generate/prompt/join-chunks.ts',
  'generate/prompt/textual-inversion.ts',
  'random/random.ts',
];

/** Packages that run in a browser. */
const packages = new Set(['zod', '@huggingface/tokenizers']);

test.each(entries)('%s imports nothing of Node, directly or through others', (entry) => {
  const foreign = [...reached(new URL(`../../src/${entry}`, import.meta.url))]
    .filter((specifier) => !specifier.startsWith('file:'))
    .filter((specifier) => !packages.has(specifier));
  expect(foreign).toEqual([]);
});

test('the check sees a Node import behind another file', () => {
  const behind = [...reached(new URL('../../src/generate/read-scheduler.ts', import.meta.url))];
  expect(behind).toContain('node:path');
  expect(behind.some((specifier) => specifier.startsWith('node:fs'))).toBe(true);
});

/** Every file and package that running `entry` loads: types are left out, as the compiler does. */
function reached(entry: URL, seen = new Set<string>()): Set<string> {
  if (seen.has(entry.href)) return seen;
  seen.add(entry.href);
  for (const specifier of specifiersOf(readFileSync(fileURLToPath(entry), 'utf8')))
    if (specifier.startsWith('.')) reached(new URL(specifier, entry), seen);
    else seen.add(specifier);
  return seen;
}

function specifiersOf(text: string): string[] {
  const statements = text.matchAll(
    /^(?:import|export)\s+(?!type\b)[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  );
  return [...statements].map(([, from, bare, lazy]) => from ?? bare ?? lazy ?? '');
}
