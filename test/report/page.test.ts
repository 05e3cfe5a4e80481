import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { cardSchema } from '../../src/report/card.ts';
import type { EmbeddedPicture } from '../../src/report/pictures/embedded.ts';
import { modelCard, OWN_MODEL_CARD } from '../../src/report/render/model-card.ts';
import { cardPage } from '../../src/report/render/page.ts';
import { exampleCard } from './example-card.ts';

/** The elements and attributes of a page, without its texts. */
function skeleton(page: string): string[] {
  const { document } = parseHTML(page);
  return [...document.querySelectorAll('*')].map(
    (element) => `${element.tagName} ${[...element.attributes].map(({ name }) => name).join(' ')}`,
  );
}

const png = new Uint8Array([1, 2, 3]);
const images = (...names: string[]) =>
  new Map(
    names.map((name): [string, EmbeddedPicture] => [name, { name, width: 2, height: 2, scale: 1, png }]),
  );

const hostile = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onclick='alert(1)",
  '</style><svg onload=alert(1)>',
  '<!-- --> ]]> &lt;b&gt; </td></table></section>',
];

test('a card is what its schema says', () => {
  expect(cardSchema.parse(exampleCard())).toEqual(exampleCard());
});

test.each(hostile)('markup in names, metadata and prompts is text on the page: %s', (text) => {
  const plain = cardPage(exampleCard(), images('some text', 'float32'));
  const page = cardPage(exampleCard(text), images(text, 'float32'));
  expect(skeleton(page)).toEqual(skeleton(plain));
  const { document } = parseHTML(page);
  expect(document.querySelector('h1')?.textContent).toBe(text);
  expect(document.querySelectorAll('script')).toHaveLength(1);
});

test('what would turn the direction of writing or hide is shown as an escape', () => {
  const page = cardPage(exampleCard('weight\u202e\u0000name'), new Map());
  for (const hidden of ['\u202e', '\u0000']) expect(page).not.toContain(hidden);
  expect(page).toContain('weight\\u202e\\u0000name');
});

test('a link leads to a page or is text: no other scheme becomes an address', () => {
  const page = cardPage(exampleCard('javascript:alert(1)'), new Map());
  expect(page).not.toContain('href="javascript:');
});

test('a page needs nothing but itself, and forbids the rest', () => {
  const page = cardPage(exampleCard(), images('some text', 'float32'));
  expect(page).not.toMatch(/<(link|iframe|object|base)\b|@import|url\(/);
  expect(page).not.toMatch(/src="(?!data:)/);
  expect(page).toContain("default-src 'none'");
});

test('a page of a card without measurements says so, and gives the commands', () => {
  const bare = {
    ...exampleCard(),
    parity: null,
    pictures: null,
    layers: [],
    curve: null,
    lint: [],
    limits: [],
    notChecked: [
      { what: 'Distance from float32', why: 'none', command: 'sdconvert report out --reference X' },
    ],
  };
  expect(cardPage(bare, new Map())).toContain('sdconvert report out --reference X');
});

test.each(['org/name', ...hostile])(
  'a model card has front matter that is YAML, and tables that hold: %s',
  (text) => {
    const card = modelCard(exampleCard(text));
    const [, yaml = '', body = ''] = card.split(/^---$/m);
    expect(parse(yaml)).toMatchObject({
      base_model: [text],
      base_model_relation: 'quantized',
      library_name: 'onnx',
      license: text,
      tags: ['stable-diffusion', 'onnx', 'sdconvert'],
    });
    const rows = body.split('\n').filter((line) => line.startsWith('|'));
    const cells = rows.map((row) => row.split(/(?<!\\)\|/).length);
    expect(new Set(cells)).toEqual(new Set([5, 6]));
  },
);

/** A model card without its comment and what is code by https://spec.commonmark.org/0.31.2: fenced blocks, then spans. */
function outsideCode(card: string): string {
  const [, , body = ''] = card.split(/^---$/m);
  return body
    .replace(OWN_MODEL_CARD, '')
    .replaceAll(/^(`{3,})[^`\n]*\n[\s\S]*?\n\1`*$/gm, '')
    .replaceAll(/\\./g, '')
    .replaceAll(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');
}

test.each([
  '```\n\n<script>alert(1)</script>',
  'name\n```\n<script>alert(1)</script>',
  '`<script>alert(1)</script>',
  'a `` b ` <img src=x>`',
  '<script>alert(1)</script>',
])('no name ends the code of a model card: %j', (text) => {
  expect(outsideCode(modelCard(exampleCard(text)))).not.toContain('<');
  const fences = (card: string) => card.split('\n').filter((line) => /^`{3,}(sh)?$/.test(line)).length;
  expect(fences(modelCard(exampleCard(text)))).toBe(2);
});
