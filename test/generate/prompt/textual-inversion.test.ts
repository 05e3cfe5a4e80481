import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FileFormatError, NotFoundError, RequestError, UnsupportedModelError } from '../../../src/errors.ts';
import {
  parseTextualInversion,
  readTextualInversion,
} from '../../../src/generate/prompt/read-textual-inversion.ts';
import { expandInversions, tokenNames } from '../../../src/generate/prompt/textual-inversion.ts';
import { writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const temporary = temporaryFolder();

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/textual-inversion/${name}`, import.meta.url));

/** As make_textual_inversions.py fills it. */
function rows(count: number, width: number) {
  const data = Float32Array.from({ length: count * width }, (_, i) => {
    return (Math.floor(i / width) + 1) / 8 + (i % width) / 64;
  });
  return { rows: count, width, data };
}

test.each([
  ['web-ui-dict.pt', 'web-ui-dict', { text_encoder: rows(2, 8) }],
  ['web-ui.pt', 'web-ui', { text_encoder: rows(2, 8) }],
  ['web-ui.safetensors', 'web-ui', { text_encoder: rows(3, 8) }],
  ['diffusers.bin', '<moss>', { text_encoder: rows(1, 8) }],
  ['diffusers.safetensors', '<moss>', { text_encoder: rows(2, 8) }],
  ['xl.safetensors', 'xl', { text_encoder: rows(2, 8), text_encoder_2: rows(2, 12) }],
])('%s is read, and called %s', async (file, token, embeddings) => {
  expect(await readTextualInversion({ file: fixture(file) })).toEqual({ token, embeddings });
  const named = await readTextualInversion({ file: fixture(file), token: 'moss' });
  expect(named).toEqual({ token: 'moss', embeddings });
});

test.each([
  ['xl-uneven.safetensors', FileFormatError, /different numbers of rows/],
  ['lora.safetensors', UnsupportedModelError, /not a textual inversion[\s\S]*--lora/],
  ['nowhere.safetensors', NotFoundError, /nowhere/],
] as const)('%s is refused', async (file, kind, message) => {
  await expect(readTextualInversion({ file: fixture(file) })).rejects.toThrow(kind);
  await expect(readTextualInversion({ file: fixture(file) })).rejects.toThrow(message);
});

test.each(['', ' ', 'x'.repeat(100_000)])(
  'a token that is no word of a prompt is refused: %.5j',
  async (token) => {
    const file = temporary('nameless.safetensors');
    const data = new Float32Array(8);
    await writeSafetensors(file, [{ name: token, dtype: 'f32', shape: [1, 8], data }]);
    const error = await rejectionOf(readTextualInversion({ file }));
    expect(error.problem).toContain('has no token that could be a word of a prompt');
    expect((await readTextualInversion({ file, token: 'moss' })).token).toBe('moss');
  },
);

test('an argument is a file, and after its ending and a colon a word', () => {
  expect(parseTextualInversion('a/b.safetensors:<moss>')).toEqual({
    file: 'a/b.safetensors',
    token: '<moss>',
  });
  expect(parseTextualInversion('C:\\b.pt')).toEqual({ file: 'C:\\b.pt' });
  expect(parseTextualInversion('C:\\b.pt:moss')).toEqual({ file: 'C:\\b.pt', token: 'moss' });
  for (const text of ['', 'b.pt:', 'b.bin:two words'])
    expect(() => parseTextualInversion(text)).toThrow(RequestError);
});

test('a word in a prompt becomes the tokens of all its rows', () => {
  const one = { token: 'moss', embeddings: { text_encoder: rows(1, 8) } };
  const two = { token: 'moss-soft', embeddings: { text_encoder: rows(3, 8), text_encoder_2: rows(3, 12) } };
  expect(tokenNames(two)).toEqual(['moss-soft', 'moss-soft_1', 'moss-soft_2']);
  expect(expandInversions('Moss on (moss-soft:1.2) stone', [one, two])).toBe(
    'moss on (moss-soft moss-soft_1 moss-soft_2:1.2) stone',
  );
  expect(expandInversions('stone', [])).toBe('stone');
});
