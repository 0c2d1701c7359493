/**
 * application/vnd.3gpp.mcptt-user-profile+xml (TS 24.484 8.3): the service authorization profile that the MCPTT server
 * returns in step 4. The subset below is what this project reads; the document's order follows 8.3.2.1.
 */
import { type MimeEntity, mimeEntity } from './mime.ts';
import { childOf, childrenOf, parseXml, serialiseXml, type XmlElement, XmlError, xmlElement } from './xml.ts';

export const USER_PROFILE_TYPE = 'application/vnd.3gpp.mcptt-user-profile+xml';
export const USER_PROFILE_NAMESPACE = 'urn:3gpp:ns:mcpttUserProfile:1.0';
const COMMON_POLICY = 'urn:ietf:params:xml:ns:common-policy';

export interface UserProfile {
  readonly mcpttId: string;
  /** ParticipantType, for example `responder` or `dispatcher`. */
  readonly participantType: string;
  /** Priority of the user's group calls, higher is more urgent. */
  readonly priority: number;
  /** MCPTT group ids in MCPTTGroupInfo of OnNetwork. */
  readonly groups: readonly string[];
  /** allow-private-call. */
  readonly privateCall: boolean;
  /** allow-emergency-group-call. */
  readonly emergencyCall: boolean;
  /** MaxSimultaneousCallsN6. */
  readonly maxSimultaneousCalls: number;
}

/** The document has one profile; its index is what poc-settings selects. */
export const USER_PROFILE_INDEX = '1';

const el = (name: string, content?: string | readonly XmlElement[], attributes?: Record<string, string>): XmlElement =>
  xmlElement(USER_PROFILE_NAMESPACE, name, content, attributes);

/** The document as a MIME entity. */
export function buildUserProfile(profile: UserProfile): MimeEntity {
  const uri = (value: string): XmlElement => el('uri-entry', value);
  const groups = profile.groups.map((group, i) => el('entry', [uri(group)], { index: String(i) }));
  const common = [
    el('MCPTTUserID', [uri(profile.mcpttId)], { index: '0' }),
    el('MCPTT-group-call', [
      el('MaxSimultaneousCallsN6', String(profile.maxSimultaneousCalls)),
      el('Priority', String(profile.priority)),
    ]),
    el('ParticipantType', profile.participantType),
  ];
  const actions = [
    el('allow-private-call', String(profile.privateCall)),
    el('allow-emergency-group-call', String(profile.emergencyCall)),
  ];
  const identity = xmlElement(COMMON_POLICY, 'identity', [
    xmlElement(COMMON_POLICY, 'one', [], { id: profile.mcpttId }),
  ]);
  const rule = xmlElement(
    COMMON_POLICY,
    'rule',
    [xmlElement(COMMON_POLICY, 'conditions', [identity]), xmlElement(COMMON_POLICY, 'actions', actions)],
    { id: 'own' },
  );
  const root = el(
    'mcptt-user-profile',
    [
      el('Status', 'true'),
      el('Common', common, { index: '0' }),
      el('OnNetwork', [el('MCPTTGroupInfo', groups)], { index: '0' }),
      xmlElement(COMMON_POLICY, 'ruleset', [rule]),
    ],
    { 'XUI-URI': profile.mcpttId, 'user-profile-index': USER_PROFILE_INDEX },
  );
  return mimeEntity(USER_PROFILE_TYPE, serialiseXml(root));
}

/** Reads the document. @throws XmlError as parseXml, and `XML_UNEXPECTED` for another document or a missing part */
export function parseUserProfile(octets: Uint8Array): UserProfile {
  const root = parseXml(octets);
  if (root.name !== 'mcptt-user-profile' || root.namespace !== USER_PROFILE_NAMESPACE) {
    throw new XmlError('XML_UNEXPECTED', `the document is no mcptt-user-profile of ${USER_PROFILE_NAMESPACE}`);
  }
  const need = (parent: XmlElement, name: string, namespace = USER_PROFILE_NAMESPACE): XmlElement => {
    const found = childOf(parent, name, namespace);
    if (found === undefined) throw new XmlError('XML_UNEXPECTED', `<${parent.name}> has no <${name}>`);
    return found;
  };
  const uriOf = (parent: XmlElement): string => need(parent, 'uri-entry').text.trim();
  const common = need(root, 'Common');
  const groupCall = need(common, 'MCPTT-group-call');
  const actions = need(need(need(root, 'ruleset', COMMON_POLICY), 'rule', COMMON_POLICY), 'actions', COMMON_POLICY);
  const allowed = (action: string): boolean =>
    childOf(actions, `allow-${action}`, USER_PROFILE_NAMESPACE)?.text.trim() === 'true';
  return {
    mcpttId: uriOf(need(common, 'MCPTTUserID')),
    participantType: need(common, 'ParticipantType').text,
    priority: Number(need(groupCall, 'Priority').text),
    groups: childrenOf(need(need(root, 'OnNetwork'), 'MCPTTGroupInfo'), 'entry').map(uriOf),
    privateCall: allowed('private-call'),
    emergencyCall: allowed('emergency-group-call'),
    maxSimultaneousCalls: Number(need(groupCall, 'MaxSimultaneousCallsN6').text),
  };
}
