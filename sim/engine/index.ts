/** An embedded SIP engine behind drachtio's control protocol. */
export { type Clock, ManualClock, systemClock, type TimerHandle } from './clock.ts';
export type { RequestHandler } from './control/outbound.ts';
export type { ControlTls } from './control/server.ts';
export type { Log } from './core/core.ts';
export { Engine, type EngineAddresses, type EngineFigures, type EngineOptions, type EngineTls } from './engine.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export type { BoundPoint, Protocol, TransportLimits } from './transport/index.ts';
