import pino from 'pino';
import type { Log } from '../control/actor.ts';

/** JSON lines on standard output, each with the actor's name. */
export const jsonLog = (actor: string, level = 'info'): Log =>
  pino({ level, base: { actor }, timestamp: pino.stdTimeFunctions.isoTime });
