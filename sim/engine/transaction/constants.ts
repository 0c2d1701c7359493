/** RFC 3261 17.1.1.1 and table 4, in milliseconds. */

/** Round-trip time estimate. */
export const T1 = 500;
/** Longest interval between retransmissions of non-INVITE requests and of responses to INVITE. */
export const T2 = 4_000;
/** Longest time that a message remains in the network. */
export const T4 = 5_000;

/** Timers B, F, H, J, L and M: how long a transaction tries, or remembers. */
export const TRANSACTION_LIFETIME = 64 * T1;
/** Timer D: longer than 32 s on unreliable transports. */
export const TIMER_D = 32_000;
/** Timer C (16.6 step 11): a proxied INVITE without any final response; more than three minutes. */
export const TIMER_C = 181_000;
