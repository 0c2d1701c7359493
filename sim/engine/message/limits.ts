/** How much of a message is read before it is refused. */
export interface MessageLimits {
  /** Start line and headers, octets. Above: refused with 400 (a header section that never ends cannot be skipped). */
  readonly headBytes: number;
  /** Header lines. Above: 400. */
  readonly headerCount: number;
  /** Body octets. Above: 413. */
  readonly bodyBytes: number;
}

/** Room for a 64 KiB datagram in the head and for an S/MIME body with attachments. */
export const DEFAULT_LIMITS: MessageLimits = { headBytes: 65_536, headerCount: 256, bodyBytes: 1_048_576 };
