import { isScalar, LineCounter, parseDocument, visit } from 'yaml';

/** YAML of strangers: plain data only, and in a time that its length bounds. */
export interface YamlDocument {
  readonly document: ReturnType<typeof parseDocument>;
  readonly value: unknown;
  /** The line of an offset in the text, from 1. */
  lineAt(offset: number): number;
}

/** What is wrong with a text that is to be YAML. */
export class YamlProblem extends Error {
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(message);
    this.line = line;
  }
}

/** Deeper than any file that is meant: the parser takes a stack, and of keys within keys time without end. */
const DEEPEST = 64;

/**
 * Parses YAML, or JSON, which is YAML. Tags make no objects, and aliases stand for at most so many values. Throws `YamlProblem`.
 */
export function parseYaml(text: string, maxAliasCount: number): YamlDocument {
  refuseDepth(text);
  const lines = new LineCounter();
  // Neither pretty errors nor the parser's own check of keys: both take the square of the length.
  const options = { schema: 'core', logLevel: 'silent', prettyErrors: false, uniqueKeys: false } as const;
  try {
    const document = parseDocument(text, { ...options, lineCounter: lines });
    const lineAt = (offset: number): number => lines.linePos(offset).line;
    const [problem] = [...document.errors, ...document.warnings];
    if (problem) throw new YamlProblem(problem.message.split('\n')[0] ?? '', lineAt(problem.pos[0]));
    refuseOddKeys(document, lineAt);
    return { document, value: document.toJS({ maxAliasCount }), lineAt };
  } catch (error) {
    if (error instanceof YamlProblem) throw error;
    // The parser itself throws, too: for too many aliases, among others.
    throw new YamlProblem(error instanceof Error ? error.message : String(error));
  }
}

/** Counts what opens a list or a mapping in a line, or within brackets; texts that hold so many of them are no data either. */
function refuseDepth(text: string): void {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth = Math.max(0, depth + (bracket === '[' || bracket === '{' ? 1 : -1));
    if (depth > DEEPEST) throw new YamlProblem(`it is nested more than ${DEEPEST} deep`);
  }
  const within = /(?:[-?:][ \t]+){65}/.exec(text);
  if (within) throw new YamlProblem(`it is nested more than ${DEEPEST} deep`);
}

function refuseOddKeys(document: YamlDocument['document'], lineAt: (offset: number) => number): void {
  visit(document, {
    Map(_, { items }) {
      const known = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        // Readers of objects pass over it, and what stands behind it would be left out without a word.
        if (key.value === '__proto__')
          throw new YamlProblem('no data has a key __proto__', key.range ? lineAt(key.range[0]) : undefined);
        if (known.has(key.value))
          throw new YamlProblem(
            `the key ${String(key.value)} stands there twice, and has to be unique`,
            key.range ? lineAt(key.range[0]) : undefined,
          );
        known.add(key.value);
      }
    },
  });
}
