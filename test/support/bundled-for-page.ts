import { rolldown } from 'rolldown';

/** A module with everything behind it as one script, and the modules that no bundler finds for a page. */
export async function bundledForPage(input: string) {
  const outside = new Set<string>();
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: (id) => id.startsWith('node:') && Boolean(outside.add(id)),
    onLog: () => {},
  });
  const { output } = await bundle.generate({ format: 'iife', name: 'page' });
  await bundle.close();
  const imports = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.imports : []));
  const [{ code }] = output;
  return { code, outside: [...new Set([...outside, ...imports])] };
}
