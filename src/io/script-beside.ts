/**
 * Where the script of a thread or process is: beside the file that starts it, whose `import.meta.url` is `from`, as `.ts` in the
 * sources and as `.js` where they are built (docs/decisions/0012-few-files.md). `name` has no folder and no extension.
 */
export function scriptBeside(name: string, from: string): URL {
  return new URL(`./${name}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from);
}
