/**
 * JSON schemas for kubeconform: those of Kubernetes' own kinds, and of the custom kinds in crds/.
 * All strict.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} source `kubernetes-json-schema` as PyPI's kubernetes-validate has it
 * @param {string} target
 * @param {readonly string[]} versions of Kubernetes
 */
export function coreSchemas(source, target, versions) {
  for (const version of versions) {
    const folder = join(target, `v${version}-local-strict`);
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(join(source, `v${version}-local-strict`))) {
      if (!file.endsWith('.json') || file === 'all.json') continue;
      const { $id: _web, ...schema } = JSON.parse(readFileSync(join(source, `v${version}-local-strict`, file), 'utf8'));
      // Relative to a web address they would all be looked for in the net.
      const text = JSON.stringify(schema).replaceAll('"/api/_definitions.json#', '"_definitions.json#');
      writeFileSync(join(folder, file), text);
    }
  }
}

/**
 * @param {readonly any[]} definitions CustomResourceDefinitions
 * @param {string} target
 */
export function customSchemas(definitions, target) {
  for (const { spec } of definitions) {
    mkdirSync(join(target, spec.group), { recursive: true });
    for (const { name, schema } of spec.versions) {
      const strictSchema = strict(schema.openAPIV3Schema);
      strictSchema.properties.metadata = { type: 'object' };
      const file = `${spec.names.kind.toLowerCase()}_${name}.json`;
      writeFileSync(join(target, spec.group, file), JSON.stringify(strictSchema));
    }
  }
}

/** OpenAPI's dialect to JSON Schema, and no unknown keys. */
function strict(schema) {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const out = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]));
  if (out['x-kubernetes-int-or-string'] === true) {
    delete out.type;
    out.anyOf ??= [{ type: 'integer' }, { type: 'string' }];
  }
  const closed = out.type === 'object' && out.properties !== undefined && out.additionalProperties === undefined;
  if (closed && out['x-kubernetes-preserve-unknown-fields'] !== true) out.additionalProperties = false;
  return out;
}
