import type { SipMessage } from '../message/index.ts';

/** Responses of the 4xx class that tell the caller how to do better (16.7 step 6). */
const HELPFUL: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

/**
 * The response to forward when no branch succeeded (16.7 step 6): a 6xx, else one of the lowest class, in it one that
 * lets the caller repair the request, else the first that is no 503. Challenges of all branches are gathered in a 401 or
 * 407 (step 7).
 */
export function bestResponse(responses: readonly SipMessage[]): SipMessage | undefined {
  const global = responses.find((response) => response.status >= 600);
  const lowest = Math.min(...responses.map((response) => Math.floor(response.status / 100)));
  const candidates = responses.filter((response) => Math.floor(response.status / 100) === lowest);
  const best =
    global ??
    candidates.find((response) => HELPFUL.has(response.status)) ??
    candidates.find((response) => response.status !== 503) ??
    candidates[0];
  if (best === undefined || (best.status !== 401 && best.status !== 407)) return best;
  const merged = best.clone();
  for (const other of candidates) {
    if (other === best || (other.status !== 401 && other.status !== 407)) continue;
    for (const name of ['www-authenticate', 'proxy-authenticate']) {
      for (const value of other.getAll(name)) merged.append(name, value);
    }
  }
  return merged;
}
