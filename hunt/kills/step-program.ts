/** Does the last step of a manifest's items as a worker's process does: its arguments are the manifest, the worker's folder and the store. */
import { resolve } from 'node:path';
import { Identities } from '../../src/fleet/identities.ts';
import { KnownHashes } from '../../src/fleet/known-hashes.ts';
import { planItems } from '../../src/fleet/plan-items.ts';
import { runStep } from '../../src/fleet/queue/run-step.ts';
import { readManifest } from '../../src/fleet/read-manifest.ts';
import { ownHubOptions } from '../../src/hub/hub-options.ts';
import { version } from '../../src/version.ts';

const [manifest = '', folder = '', results = ''] = process.argv.slice(2).map((path) => resolve(path));
const hub = await ownHubOptions();
const identities = new Identities(hub, await KnownHashes.open(undefined), {});
for (const planned of (await planItems(await readManifest(manifest))).items) {
  const item = await identities.identify(planned);
  const contents = await identities.contentsOf(item);
  const site = { folder, tmpDir: folder, store: {}, hub };
  await runStep('check', { version, item, contents, results }, site, {});
}
