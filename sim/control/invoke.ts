import { type Actor, ControlError, type Json, type JsonObject } from './actor.ts';

/**
 * Runs one verb or reading of an actor and turns whatever goes wrong into a {@link ControlError} that carries the
 * actor's own code, message and JSON detail, and nothing else of the error.
 */
export async function invoke(actor: Actor, table: 'verbs' | 'readings', name: string, args: JsonObject): Promise<Json> {
  const known = actor[table];
  const run = Object.hasOwn(known, name) ? known[name] : undefined;
  if (run === undefined) {
    const what = table === 'verbs' ? 'verb' : 'reading';
    throw new ControlError(
      'CONTROL_UNKNOWN',
      `${actor.name} has no ${what} '${name}'; it has: ${Object.keys(known).join(', ')}`,
    );
  }
  try {
    return await run(args);
  } catch (cause) {
    if (cause instanceof ControlError) throw cause;
    const { code, detail, message } = cause as { code?: unknown; detail?: unknown; message?: unknown };
    throw new ControlError(
      'CONTROL_FAILED',
      `${actor.name} could not ${name}: ${typeof message === 'string' ? message : String(cause)}`,
      typeof code === 'string' ? code : undefined,
      isObject(detail) ? (JSON.parse(JSON.stringify(detail)) as JsonObject) : {},
    );
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
