import fc from 'fast-check';
import { expect, test } from 'vitest';
import { duplicateKey, jsonPieces } from '../../../src/io/json/json-text.ts';

test('the pieces of any text, joined again, are the text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', '\\', '{', ':', 'a', 'é') }),
      (text) => [...jsonPieces(text)].join('') === text,
    ),
  );
});

test('JSON without duplicate keys is never said to have one', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, indent) => {
      expect(duplicateKey(JSON.stringify(value, undefined, indent))).toBeUndefined();
    }),
  );
});

test('any key that is added a second time is found', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 });
  fc.assert(
    fc.property(object, fc.nat(), (value, pick) => {
      const keys = Object.keys(value);
      const key = keys[pick % keys.length] ?? '';
      const twice = `${JSON.stringify(value).slice(0, -1)}, ${JSON.stringify(key)} : [{}]}`;
      expect(duplicateKey(`[${JSON.stringify(value)}, {"x": ${twice}}]`)).toBe(key);
    }),
  );
});

test.each([
  ['the same key in two objects', '{"a":{"k":1},"b":{"k":2}}', undefined],
  ['a key that is also a value', '{"k":"k","l":["k","k"]}', undefined],
  ['a key spelled in two ways', '{"k":1,"\\u006b":2}', 'k'],
  ['quotes and braces inside of strings', '{"a":"\\"{","b":"}\\\\"}', undefined],
  ['a duplicate deep inside', '{"a":[{"b":{"k":1,"k":2}}]}', 'k'],
  ['a duplicate after an inner object', '{"k":{"a":1},"k":2}', 'k'],
])('%s', (_name, json, expected) => {
  expect(duplicateKey(json)).toBe(expected);
});
