/** Initial filter criteria: which application servers hear of a request, in which order (TS 29.228 annex B, TS 23.218 5.2). */
import { splitValues } from '../messages/sip-headers.ts';
import type {
  ApplicationServer,
  InitialFilterCriterion,
  RegistrationType,
  ServicePointTrigger,
  SessionCase,
  TriggerPoint,
} from '../messages/subscriber.ts';
import type { Headers } from './drachtio.ts';

/** What the conditions look at. */
export interface Triggering {
  readonly method: string;
  readonly requestUri: string;
  /** Lower-case names. */
  readonly headers: Readonly<Headers>;
  readonly sessionCase: SessionCase;
  /** For REGISTER. */
  readonly registrationType?: RegistrationType;
}

function holds(trigger: ServicePointTrigger, request: Triggering): boolean {
  if ('method' in trigger) {
    if (trigger.method !== request.method) return false;
    const { registrationType: types } = trigger;
    return types === undefined || (request.registrationType !== undefined && types.includes(request.registrationType));
  }
  if ('requestUri' in trigger) return new RegExp(trigger.requestUri).test(request.requestUri);
  if ('sessionCase' in trigger) return trigger.sessionCase === request.sessionCase;
  const { header, content } = trigger.sipHeader;
  const value = Object.entries(request.headers).find(([name]) => name.toLowerCase() === header.toLowerCase())?.[1];
  if (value === undefined) return false;
  return content === undefined || splitValues(value).some((single) => new RegExp(content).test(single));
}

function triggered({ conditionTypeCnf, servicePointTriggers }: TriggerPoint, request: Triggering): boolean {
  const groups = new Map<number, boolean[]>();
  for (const trigger of servicePointTriggers) {
    const outcome = holds(trigger, request) !== (trigger.conditionNegated === true);
    for (const group of trigger.group) groups.set(group, [...(groups.get(group) ?? []), outcome]);
  }
  const outcomes = [...groups.values()];
  return conditionTypeCnf
    ? outcomes.every((group) => group.includes(true))
    : outcomes.some((group) => !group.includes(false));
}

/** The application servers whose criteria hold for `request`, in the order of their priority. */
export function matchingServers(
  criteria: readonly InitialFilterCriterion[],
  request: Triggering,
): readonly ApplicationServer[] {
  return [...criteria]
    .sort((a, b) => a.priority - b.priority)
    .filter(({ triggerPoint }) => triggerPoint === undefined || triggered(triggerPoint, request))
    .map(({ applicationServer }) => applicationServer);
}
