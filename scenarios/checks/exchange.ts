/** Which HTTP messages belong together, as far as both ends pass `traceparent` on (W3C Trace Context). */
import type { MessageRecord } from '../../sim/trace/record.ts';

/** Whether both are of one exchange, as either end saw it. */
export const answers = (response: MessageRecord, request: MessageRecord): boolean =>
  response.correlation !== undefined && response.correlation === request.correlation?.replace('/request', '/response');

/** Whether the event came on the stream that the request has opened. */
export const cameOn = (event: MessageRecord, request: MessageRecord): boolean =>
  event.correlation?.replace(/\/event-.*/, '/request') === request.correlation && request.correlation !== undefined;
