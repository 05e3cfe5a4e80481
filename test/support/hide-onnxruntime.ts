const hooks = `import { registerHooks } from 'node:module';
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier, specifier === 'onnxruntime-node' ? { ...context, parentURL: 'file:///' } : context),
});`;

/** Arguments of Node with which a process, and each of its threads, finds no onnxruntime-node: as where npm left it out. */
export const hideOnnxruntime = [
  '--no-warnings',
  '--import',
  `data:text/javascript,${encodeURIComponent(hooks)}`,
] as const;
