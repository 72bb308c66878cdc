/** Checks a key or value as Kafka Connect's JsonConverter does: the payload fits the schema. */

interface Schema {
  readonly type: string;
  readonly optional?: boolean;
  readonly field?: string;
  readonly fields?: readonly Schema[];
}

/** @returns the problems; empty when there are none. @throws SyntaxError when it is not JSON */
export function connectProblems(text: string): readonly string[] {
  const { schema, payload } = JSON.parse(text) as { schema: Schema; payload: unknown };
  const found: string[] = [];
  const check = (path: string, type: Schema, value: unknown): void => {
    if (value === null || value === undefined) {
      if (type.optional !== true) found.push(`${path} is ${String(value)}, and not optional`);
      return;
    }
    switch (type.type) {
      case 'struct': {
        const members = value as Record<string, unknown>;
        const names = (type.fields ?? []).map(({ field }) => field ?? '');
        if (new Set(names).size !== names.length) found.push(`${path} has a field twice`);
        for (const name of Object.keys(members)) if (!names.includes(name)) found.push(`${path}.${name} has no field`);
        for (const field of type.fields ?? []) {
          const name = field.field ?? '';
          if (!Object.hasOwn(members, name)) found.push(`${path}.${name} has no value`);
          else check(`${path}.${name}`, field, members[name]);
        }
        return;
      }
      case 'string':
      case 'bytes':
        if (typeof value !== 'string') found.push(`${path} is no string`);
        return;
      case 'double':
        if (typeof value !== 'number') found.push(`${path} is no number`);
        return;
      case 'int32':
      case 'int64':
        if (!Number.isSafeInteger(value)) found.push(`${path} is no integer`);
        return;
      case 'boolean':
        if (typeof value !== 'boolean') found.push(`${path} is no boolean`);
        return;
      default:
        found.push(`${path} has type ${type.type}`);
    }
  };
  check('', schema, payload);
  return found;
}
