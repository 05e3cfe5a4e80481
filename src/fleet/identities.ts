import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import type { Context } from '../context.ts';
import { FileFormatError } from '../errors.ts';
import { idText, isHubId, requireHubId } from '../hub/hub-id.ts';
import type { HubOptions } from '../hub/hub-options.ts';
import { withSnapshot } from '../hub/snapshot.ts';
import { exists, pathKind } from '../io/disk.ts';
import { filesIn } from '../io/file-sizes.ts';
import { version } from '../version.ts';
import type { IdentifiedItem, Item, ItemModels } from './item.ts';
import type { KnownHashes } from './known-hashes.ts';
import { FLOAT32 } from './plan-variants.ts';

/** A model by a name that will always mean the same bytes, if it is on the Hub. */
interface Pinned {
  readonly name: string;
  /** The commit, where the name cannot hold it. */
  readonly revision?: string | undefined;
  /** What it is called, and the commit or the SHA-256 of its bytes. */
  readonly identity: string;
}

/** Makes items certain; what several items have in common is looked up once. */
export class Identities {
  readonly #hub: HubOptions;
  readonly #hashes: KnownHashes;
  readonly #context: Context;
  readonly #pinned = new Map<string, Promise<Pinned>>();

  constructor(hub: HubOptions, hashes: KnownHashes, context: Context = {}) {
    this.#hub = hub;
    this.#hashes = hashes;
    this.#context = context;
  }

  /**
   * The item with its models pinned, and its id. Nothing is downloaded; files on the disk are hashed. Throws `FileFormatError`
   * for a file with another SHA-256 than the manifest says, and what asking the Hub and reading files throws.
   */
  async identify(item: Item): Promise<IdentifiedItem> {
    await this.#checkHashes(item);
    const { models, options, reference } = item;
    const main = await this.#pin(models.modelVersion, models.revision ?? this.#hub.revision);
    const others = await this.#pinOthers(models);
    const compared =
      reference === undefined || reference === FLOAT32 ? undefined : await this.#pin(reference);
    const { variant, predictionType } = models;
    const made = { version, main: main.identity, ...others.identities, variant, predictionType, options };
    return {
      ...item,
      models: { ...models, modelVersion: main.name, revision: main.revision, ...others.models },
      reference: compared?.name ?? reference,
      referenceIdentity: compared ? digest(compared.identity) : reference,
      id: digest(canonical(made)),
    };
  }

  /**
   * SHA-256 over the bytes of an item's models on the disk; `undefined` where all are on the Hub, where a commit names them. Whoever
   * converts later can tell by it whether they are still the same.
   */
  async contentsOf({ models, reference }: Item): Promise<string | undefined> {
    const { modelVersion, refinerVersion, customVaeVersion, controlnets = [], loras = [] } = models;
    const names = [
      modelVersion,
      refinerVersion,
      customVaeVersion,
      ...controlnets,
      ...loras.map(({ path }) => path),
      reference,
    ];
    const hashes: string[] = [];
    for (const name of names)
      if (name !== undefined && name !== FLOAT32 && !(await isHubId(name)))
        hashes.push(await this.#hashOf(name));
    return hashes.length === 0 ? undefined : digest(hashes.join('\n'));
  }

  async #checkHashes({ models: { modelVersion }, sha256 = {} }: Item): Promise<void> {
    for (const [name, expected] of Object.entries(sha256)) {
      const file = name === '' ? modelVersion : join(modelVersion, name);
      const found = await this.#hashes.of(file, this.#context.signal);
      if (found === expected.toLowerCase()) continue;
      throw new FileFormatError({
        problem: `${file} is not the file that the manifest means: its SHA-256 is another.`,
        details: { expected, found },
        advice: 'Download it again, or correct the manifest.',
      });
    }
  }

  async #pinOthers({ refinerVersion, customVaeVersion, controlnets, loras }: ItemModels) {
    const pinEach = (names: readonly string[] = []): Promise<Pinned[]> =>
      Promise.all(names.map((name) => this.#pin(name)));
    const [refiner] = await pinEach(refinerVersion === undefined ? [] : [refinerVersion]);
    const [vae] = await pinEach(customVaeVersion === undefined ? [] : [customVaeVersion]);
    const control = await pinEach(controlnets);
    const style = await pinEach(loras?.map(({ path }) => path));
    return {
      models: {
        refinerVersion: refiner?.name,
        customVaeVersion: vae?.name,
        ...(controlnets && { controlnets: control.map(({ name }) => name) }),
        ...(loras && { loras: loras.map(({ scale }, at) => ({ path: style[at]?.name ?? '', scale })) }),
      },
      identities: {
        refiner: refiner?.identity,
        vae: vae?.identity,
        controlnets: control.map(({ identity }) => identity),
        loras: loras?.map(({ scale }, at) => [style[at]?.identity, scale]),
      },
    };
  }

  #pin(name: string, revision?: string): Promise<Pinned> {
    const key = JSON.stringify([name, revision]);
    const pinned = this.#pinned.get(key) ?? this.#find(name, revision);
    this.#pinned.set(key, pinned);
    return pinned;
  }

  async #find(name: string, revision: string | undefined): Promise<Pinned> {
    if (!(await isHubId(name))) return { name, identity: `${basename(name)} ${await this.#hashOf(name)}` };
    const id = requireHubId(name, this.#hub.endpoint);
    const options = { ...this.#hub, revision: id.revision ?? revision };
    const { onProgress, signal } = this.#context;
    const note = (message: string) => onProgress?.({ type: 'note', message });
    const { repo, commit } = await withSnapshot(id.repo, options, { signal, note }, async (found) => found);
    const identity = `${idText({ ...id, repo })} ${commit}`;
    // The oldest repositories have no organisation, and such a name cannot hold a commit.
    if (!repo.includes('/')) return { name, revision: commit, identity };
    const inside = id.file ?? id.folder;
    return { name: `hf://${repo}@${commit}${inside === undefined ? '' : `/${inside}`}`, identity };
  }

  /** SHA-256 over all files of a model: of a folder, or of a file and the config beside it. */
  async #hashOf(path: string): Promise<string> {
    const { signal } = this.#context;
    if ((await pathKind(path)) === 'folder') {
      const lines: string[] = [];
      for (const { name } of await filesIn(path))
        lines.push(`${await this.#hashes.of(join(path, name), signal)} ${name}`);
      return digest(lines.join('\n'));
    }
    const config = path.replace(/\.[^./\\]+$/, '.yaml');
    const files = config !== path && (await exists(config)) ? [path, config] : [path];
    const hashes = await Promise.all(files.map((file) => this.#hashes.of(file, signal)));
    return hashes.length === 1 ? hashes.join() : digest(hashes.join('\n'));
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON whose keys are in order, so that equal values are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
