import { ZodRecord } from 'zod/v4';
// By name, since the whole of the core would be in the page otherwise.
import { $constructor, type $ZodRecordDef, type $ZodRecordKey, type $ZodType, type ParsePayload } from 'zod/v4/core';

/**
 * The record of zod 3.25 takes an object with a field `constructor` for none, and passes over a field `__proto__` without a word. Here names
 * are data, such as those of columns: the former is a name like any other, the latter is refused, since objects lose it.
 */
const NamedRecord = /* @__PURE__ */ $constructor('ZodRecord', (instance: ZodRecord, definition: $ZodRecordDef) => {
  ZodRecord.init(instance, definition);
  instance._zod.parse = (payload, context) => {
    const { value: given } = payload;
    if (!isPlain(given)) {
      payload.issues.push({ code: 'invalid_type', expected: 'record', input: given, inst: instance });
      return payload;
    }
    const read = (schema: $ZodType, value: unknown, name: string): unknown => {
      const result = schema._zod.run({ value, issues: [] }, context) as ParsePayload;
      for (const issue of result.issues) payload.issues.push({ ...issue, path: [name, ...(issue.path ?? [])] });
      return result.value;
    };
    const entries = Object.entries(given).map(([name, value]) => {
      if (name === '__proto__') payload.issues.push({ code: 'custom', message: 'is no name that a field can have', input: name, path: [name] });
      return [read(definition.keyType, name, name), read(definition.valueType, value, name)];
    });
    payload.value = Object.fromEntries(entries);
    return payload;
  };
});

/** Whether something is an object of its own fields alone. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** An object with fields of names that its author chose. Neither schema may be asynchronous. */
export function record<Name extends $ZodRecordKey, Value extends $ZodType>(keyType: Name, valueType: Value): ZodRecord<Name, Value> {
  return new NamedRecord({ type: 'record', keyType, valueType }) as unknown as ZodRecord<Name, Value>;
}
