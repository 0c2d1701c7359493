/**
 * SDP of a private call (TS 24.379 6.2.1): one audio stream and the media-plane control channel. There is no media here:
 * the port is 9 (discard), so that nobody sends any, and re-INVITEs change the direction only.
 */

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** @param version counts up with each change (RFC 3264 5) */
export function buildSdp(sessionId: number, version: number, address: string, direction: Direction): string {
  const family = address.includes(':') ? 'IP6' : 'IP4';
  const lines = [
    'v=0',
    `o=- ${sessionId} ${version} IN ${family} ${address}`,
    's=-',
    `c=IN ${family} ${address}`,
    't=0 0',
    'm=audio 9 RTP/AVP 99',
    'a=rtpmap:99 AMR-WB/16000/1',
    `a=${direction}`,
    'm=application 9 udp MCPTT',
    'a=fmtp:MCPTT mc_queueing;mc_priority=5',
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** Direction of the first stream; sendrecv unless it says otherwise (RFC 3264 5.1). */
export function directionOf(sdp: string): Direction {
  return (/^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(sdp)?.[1] as Direction | undefined) ?? 'sendrecv';
}

/** The answering direction (RFC 3264 6.1). */
export function answerDirection(offered: Direction): Direction {
  return offered === 'sendonly' ? 'recvonly' : offered === 'recvonly' ? 'sendonly' : offered;
}
