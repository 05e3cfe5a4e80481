/**
 * Checks that imports point one way (docs/architecture.md): each folder of src/ may import itself and what stands before
 * it in `order`, types included; that files do not import each other in a circle, of types alone either; that
 * only the command line prints, exits or reads the environment; and that only `diskFiles` touch the disk. Prints a line
 * for each violation and exits 1 if there is any.
 */
import { globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** The folders of src/ that do the work. */
const order = [
  'io',
  'hub',
  'weights',
  'checkpoint',
  'graph',
  'convert',
  'quantize',
  'chunk',
  'formats',
  'run',
  'validate',
  'inspect',
  'bundle',
  'generate',
  'mixed-bits',
  'report',
  'web',
  'commands',
  'fleet',
];

/** The files that src/ itself may hold; everything else has a room. */
const MAX_ROOT_FILES = 6;

/** What every folder may import: parts that themselves import nothing but each other. */
const ground = [
  'src/random',
  'src/errors.ts',
  'src/context.ts',
  'src/pipeline.ts',
  'src/text.ts',
  'src/version.ts',
];

/** All that is checked, each importing only itself and those before it; `stages` are the files of src/ itself. */
const layers = ['ground', ...order, 'stages', 'cli'];

/** All that touches the disk; everything else goes through the first. */
const diskFiles = [
  'disk',
  'stages/staging',
  'stages/scratch',
  'stages/owner',
  'stages/folder-lock',
  'stages/abandoned-lock',
  'make-missing',
  'empty-folders',
  'patient',
  'direct-writes',
  'shared-file',
  'opened-files',
  'proc',
].map((name) => `src/io/${name}.ts`);

/** Where something is written that breaks a rule. */
interface Violation {
  readonly file: string;
  readonly line: number;
  readonly problem: string;
}

interface Import {
  /** As written: `node:fs`, `../errors.ts`. */
  readonly specifier: string;
  /** The file it leads to, relative to the project, if it is relative itself. */
  readonly target: string | undefined;
  readonly line: number;
}

/** The violations in the files of src/ and cli/, given as text by path relative to the project. */
export function importViolations(texts: ReadonlyMap<string, string>): string[] {
  const code = new Map([...texts].map(([file, text]) => [file, withoutComments(text)]));
  const imports = new Map([...code].map(([file, text]) => [file, importsOf(file, text)]));
  const violations = [...imports].flatMap(([file, found]) => [
    ...found.flatMap((each) => directionProblems(file, each)),
    ...(file.startsWith('src/') ? sourceProblems(file, found, code.get(file) ?? '') : []),
  ]);
  return [...violations, ...circles(imports), ...rootProblems([...texts.keys()])].map(
    ({ file, line, problem }) => `${file}:${line}  ${problem}`,
  );
}

function directionProblems(file: string, { target, line }: Import): Violation[] {
  if (!target) return [];
  const [from, to] = [layerOf(file), layerOf(target)];
  for (const layer of [from, to]) {
    if (!layers.includes(layer))
      return [{ file, line, problem: `${layer} is none of ${layers.join(' ← ')}` }];
  }
  if (layers.indexOf(to) <= layers.indexOf(from)) return [];
  return [{ file, line, problem: `${from} may not import ${to} (${target})` }];
}

/** A file's place in `layers`, or the folder that has none. */
function layerOf(file: string): string {
  if (ground.some((part) => file === part || file.startsWith(`${part}/`))) return 'ground';
  const [top = '', folder = '', inFolder] = file.split('/');
  if (top !== 'src') return top;
  return inFolder === undefined ? 'stages' : folder;
}

/** The files of src/ itself beyond those that it may hold. */
function rootProblems(files: readonly string[]): Violation[] {
  const root = files.filter((file) => /^src\/[^/]+$/.test(file));
  return root.slice(MAX_ROOT_FILES).map((file) => ({
    file,
    line: 1,
    problem: `src/ itself may hold ${MAX_ROOT_FILES} files, and has ${root.length}`,
  }));
}

/** What no file of the library may do. */
function sourceProblems(file: string, imports: readonly Import[], code: string): Violation[] {
  const problems = imports.flatMap(({ specifier, line }) => {
    if (/^(node:)?fs(\/|$)/.test(specifier) && !diskFiles.includes(file)) {
      return [{ file, line, problem: `only ${diskFiles[0]} may import ${specifier}` }];
    }
    return /^(node:)?(process|console)$/.test(specifier)
      ? [{ file, line, problem: `src/ may not import ${specifier}` }]
      : [];
  });
  const calls = code.matchAll(
    // To set a variable is not to read one, nor is to hand all on to a process.
    /\bconsole\s*\.\s*\w+|\bprocess\s*\.\s*(exit|exitCode|env(?!\.\w+ = )(?<!\.{3}process\.env)|argv|stdout|stderr)\b/g,
  );
  for (const { 0: call, index } of calls) {
    problems.push({ file, line: lineAt(code, index), problem: `src/ may not use ${call}: that is for cli/` });
  }
  return problems;
}

/** Each circle of imports once, at the file of it that comes first. */
function circles(imports: ReadonlyMap<string, readonly Import[]>): Violation[] {
  const found: Violation[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    path.push(file);
    for (const { target, line } of imports.get(file) ?? []) {
      if (!target) continue;
      const start = path.indexOf(target);
      if (start < 0) visit(target);
      else
        found.push({
          file,
          line,
          problem: `imports itself in a circle: ${[...path.slice(start), target].join(' → ')}`,
        });
    }
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return found;
}

/** Static imports and exports (of types too), imports for effect, and dynamic ones. */
function importsOf(file: string, code: string): Import[] {
  const statements = /^\s*(?:import|export)\b[^'";]*?\bfrom\s*(['"])(.+?)\1|\bimport\s*\(?\s*(['"])(.+?)\3/gm;
  return [...code.matchAll(statements)].map((match) => {
    const specifier = match[2] ?? match[4] ?? '';
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
    return { specifier, target, line: lineAt(code, match.index + match[0].search(/\S/)) };
  });
}

/** The text with blanks in the place of comments; strings stay, so that what looks like a comment in one is kept. */
function withoutComments(text: string): string {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;
  return text.replace(tokens, (token) => (token.startsWith('/') ? token.replace(/[^\n]/g, ' ') : token));
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

if (import.meta.main) {
  process.chdir(join(import.meta.dirname, '..'));
  const files = globSync('{src,cli}/**/*.ts').sort();
  const violations = importViolations(new Map(files.map((file) => [file, readFileSync(file, 'utf8')])));
  for (const violation of violations) console.error(violation);
  console.log(`${files.length} files, ${violations.length} imports that break a rule`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
