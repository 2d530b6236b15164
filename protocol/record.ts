import * as z from 'zod/v4';

type Key = z.core.$ZodRecordKey;

const ZodRecord: z.core.$constructor<z.ZodRecord> = z.ZodRecord;

/**
 * The record of zod 3.25 takes an object with a field `constructor` for none, and passes over a field `__proto__` without a word. Here names
 * are data, such as those of columns: the former is a name like any other, the latter is refused, since objects lose it.
 */
const NamedRecord = z.core.$constructor('ZodRecord', (instance: z.ZodRecord, definition: z.core.$ZodRecordDef) => {
  ZodRecord.init(instance, definition);
  instance._zod.parse = (payload, context) => {
    const { value: given } = payload;
    if (!isPlain(given)) {
      payload.issues.push({ code: 'invalid_type', expected: 'record', input: given, inst: instance });
      return payload;
    }
    const read = (schema: z.core.$ZodType, value: unknown, name: string): unknown => {
      const result = schema._zod.run({ value, issues: [] }, context) as z.core.ParsePayload;
      payload.issues.push(...z.core.util.prefixIssues(name, result.issues));
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
export function record<Name extends Key, Value extends z.core.$ZodType>(keyType: Name, valueType: Value): z.ZodRecord<Name, Value> {
  return new NamedRecord({ type: 'record', keyType, valueType }) as unknown as z.ZodRecord<Name, Value>;
}
