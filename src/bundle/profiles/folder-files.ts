import type { JsonObject } from '../../io/json/python-json.ts';
import type { ClientName, Profile } from './profile.ts';

/** What a scheduler that a client lacks is replaced by. */
export interface ReplacedScheduler {
  readonly from: string;
  readonly to: string;
}

/** The class that a client is given instead of one that it lacks; `undefined` where it has it. */
export function replacedScheduler(
  { schedulers }: Pick<Profile, 'schedulers'>,
  config: JsonObject,
): ReplacedScheduler | undefined {
  const { _class_name: from } = config;
  if (!schedulers || typeof from !== 'string' || schedulers.includes(from)) return undefined;
  // Few-step models need a scheduler for few steps.
  const distilled = from === 'TCDScheduler' && schedulers.find((name) => name === 'LCMScheduler');
  return { from, to: distilled || schedulers[0] };
}

/** A note on a scheduler that a client lacks. */
export function schedulerNote(client: ClientName, { from, to }: ReplacedScheduler): string {
  return `${client} has no ${from}: its folder names ${to}, with the same settings, as diffusers’ from_config would.`;
}

/**
 * A file of an ONNX folder as a client wants it: `model_index.json` with the classes that it knows, and
 * `scheduler/scheduler_config.json` with one that it has. Others are returned unchanged.
 */
export function fileForClient(profile: Profile, name: string, json: JsonObject): JsonObject {
  if (name === SCHEDULER_FILE) {
    const replaced = replacedScheduler(profile, json);
    return replaced ? { ...json, _class_name: replaced.to } : json;
  }
  return name === INDEX_FILE ? indexForClient(profile, json) : json;
}

const INDEX_FILE = 'model_index.json';
/** The scheduler's file in a folder. */
export const SCHEDULER_FILE = 'scheduler/scheduler_config.json';

function indexForClient({ pipelines, components = {}, schedulers }: Profile, index: JsonObject): JsonObject {
  const entries = Object.entries(index).map(([key, value]): [string, unknown] => {
    if (key === '_class_name') return [key, pipelineFor(pipelines, index)];
    if (!isPresent(value)) return [key, value];
    const [library, className] = value;
    if (key === 'scheduler' && schedulers && !schedulers.some((name) => name === className))
      return [key, [library, replacedScheduler({ schedulers }, { _class_name: className })?.to ?? className]];
    return [key, Object.hasOwn(components, key) ? components[key] : value];
  });
  return Object.fromEntries(entries);
}

/** A class that a client knows, for the same task. */
function pipelineFor(pipelines: Profile['pipelines'], index: JsonObject): unknown {
  const { _class_name: own } = index;
  if (!pipelines || pipelines.some((name) => name === own)) return own;
  const wanted = isPresent(index.text_encoder_2)
    ? 'StableDiffusionXLPipeline'
    : typeof own === 'string' && own.includes('LatentConsistency')
      ? 'LatentConsistencyModelPipeline'
      : 'StableDiffusionPipeline';
  return pipelines.includes(wanted) ? wanted : own;
}

function isPresent(entry: unknown): entry is [unknown, unknown] {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[1] === 'string';
}
