import { expect, test } from 'vitest';
import { FileFormatError } from '../../../../src/errors.ts';
import { parseMilText } from '../../../../src/formats/coreml/mil/parse-mil-text.ts';

function inFunction(lines: string): string {
  return `program(1.3)\n{\n    func main<ios18>() {\n${lines}\n        } -> ();\n}`;
}

test('white space means nothing', () => {
  const spread =
    'program ( 1.3 )\n{ func main < ios18 > ( fp32 x )\n{ fp32 y = relu ( x = x ) [ name = string ( "y" ) ] ; } -> ( y ) ; }\n';
  const dense = 'program(1.3){func main<ios18>(fp32 x){fp32 y=relu(x=x)[name=string("y")];}->(y);}';
  expect(parseMilText(spread, 'a')).toEqual(parseMilText(dense, 'a'));
});

test.each([
  ['', 'line 1, column 1', 'program'],
  ['program(1.0', 'line 1, column 12', ')'],
  [inFunction('fp32 a = const()[val = fp32(zero)];'), 'line 4, column 29', 'a number'],
  [inFunction('fp32 a = const()[val = fp32(1)] fp32'), 'line 4, column 33', ';'],
  [inFunction('tensor<fp8, [1]> a = f();'), 'line 4, column 8', 'an element type'],
  [
    inFunction('tensor<fp16, [2]> a = const()[val = tensor<fp16, [2]>([1])];'),
    'line 4, column 57',
    '2 elements',
  ],
  [inFunction('int8 a = const()[val = int8(128)];'), 'line 4, column 29', 'elements of int8'],
  [inFunction('int32 a = const()[val = int32(1.5)];'), 'line 4, column 31', 'an integer below 2^53'],
  [inFunction('int32 a = relu(x = b, x = c);'), 'line 4, column 23', 'another name'],
  [inFunction('int32 a = const()[val = int32(1), val = int32(2)];'), 'line 4, column 35', 'another name'],
  [inFunction('int32 ? = f();'), 'line 4, column 7', 'a name'],
  [inFunction('int32 a = f(x = §);'), 'line 4, column 17', 'a word, a number or a bracket'],
  [
    inFunction('fp16 a = const()[val = fp16(BLOBFILE(path = string("w")))];'),
    'line 4, column 56',
    'a path and an offset',
  ],
  ['program(1.0){func main<ios99>(){}->();}', 'line 1, column 24', 'ios15 to ios19'],
  ['program(1.0){func f<ios16>(){}->(); func f<ios16>(){}->();}', 'line 1, column 42', 'another name'],
  ['program(1.0){} more', 'line 1, column 16', 'the end'],
])('%j is refused, with the place and what was expected there', (text, at, expected) => {
  expect(() => parseMilText(text, 'model.mil')).toThrow(FileFormatError);
  expect(() => parseMilText(text, 'model.mil')).toThrow(
    expect.objectContaining({ details: expect.objectContaining({ at, expected }) }),
  );
});

test.each([
  ['types', inFunction(`${'list<'.repeat(100_000)}fp32`)],
  ['dimensions', inFunction(`tensor<fp32, [${'1, '.repeat(100_000)}1]> a = f();`)],
  ['brackets', inFunction(`fp32 a = const()[val = ${'('.repeat(100_000)}`)],
  ['a text', inFunction(`string a = const()[val = string("${'\\"'.repeat(5_000_000)}`)],
])('endless %s are refused, not followed until the stack is full', (_what, text) => {
  expect(() => parseMilText(text, 'model.mil')).toThrow(FileFormatError);
});

test('a name that every JavaScript object has is a name like any other', () => {
  const text = inFunction('fp32 constructor = relu(__proto__ = x)[__proto__ = fp32(1)];');
  const [operation] = parseMilText(text, 'a').functions.main?.block_specializations.CoreML8?.operations ?? [];
  expect(Object.keys(operation?.inputs ?? {})).toEqual(['__proto__']);
  expect(Object.keys(operation?.attributes ?? {})).toEqual(['__proto__']);
});
