import { ancestorAmong } from '../io/ancestor-among.ts';
import { placeInOutput, readProvenance, updateProvenance } from './provenance.ts';

/** Removes paths that are about to be replaced from the records of their output folders, as far as they are on one. */
export async function forgetProvenance(...paths: readonly string[]): Promise<void> {
  for (const [output, own] of await byOutput(paths)) {
    const replacedAbove = ancestorAmong(own);
    const { artifacts = {}, pending = [] } = (await readProvenance(output)) ?? {};
    const recorded = Object.entries(artifacts).flatMap(([path, { files }]) => [
      path,
      ...files.map(({ name }) => `${path}/${name}`),
    ]);
    const gone = new Set([...recorded, ...pending].map(replacedAbove).filter((path) => path !== undefined));
    if (gone.size > 0) await updateProvenance(output, { gone: [...gone] });
  }
}

/** Removes paths that are about to be written from the records of their output folders; each is pending there until it is recorded. */
export async function recordBegun(...paths: readonly string[]): Promise<void> {
  for (const [output, own] of await byOutput(paths)) {
    const { pending = [] } = (await readProvenance(output)) ?? {};
    await updateProvenance(output, { gone: own, pending: [...new Set([...pending, ...own])] });
  }
}

/** Paths as they are on record, by their output folders. */
async function byOutput(paths: readonly string[]): Promise<[output: string, paths: string[]][]> {
  const places = (await Promise.all(paths.map(placeInOutput))).filter((place) => place !== undefined);
  const groups = Map.groupBy(places, ({ output }) => output);
  return [...groups].map(([output, own]) => [output, own.map(({ path }) => path)]);
}
