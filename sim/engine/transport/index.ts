/** SIP transports: listeners, connections, framing. */
export { TransportError, type TransportErrorCode } from './errors.ts';
export {
  type BoundPoint,
  defaultPort,
  type Flow,
  isReliable,
  type ListenPoint,
  type Protocol,
  type Target,
} from './flow.ts';
export { TransportLayer, type TransportOptions } from './layer.ts';
export { DEFAULT_TRANSPORT_LIMITS, type TransportLimits } from './limits.ts';
export { responseRoute } from './source.ts';
