/** SIP transports: listeners, connections, framing. */
export { TransportError, type TransportErrorCode } from './errors.ts';
export { defaultPort, type Flow, isReliable, isSecure, type Protocol, type Target } from './flow.ts';
export { type BoundPoint, type ListenPoint, TransportLayer, type TransportOptions } from './layer.ts';
export { DEFAULT_TRANSPORT_LIMITS, type TransportLimits } from './limits.ts';
