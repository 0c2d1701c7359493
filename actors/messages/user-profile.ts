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
  /** `user-profile-index` attribute. */
  readonly index: number;
  /** Display name of the user. */
  readonly name: string;
  readonly profileName: string;
  /** UserAlias entries. */
  readonly aliases: readonly string[];
  /** ParticipantType, for example `First Responder`. */
  readonly participantType: string;
  /** MissionCriticalOrganization. */
  readonly organization: string;
  /** MCPTT IDs of the groups in MCPTTGroupInfo of OnNetwork. */
  readonly groups: readonly string[];
  /** MaxAffiliationsN2. */
  readonly maxAffiliations: number;
  /** Actions of the ruleset that are `true`, without the `allow-` in front: `private-call`, `emergency-group-call`, … */
  readonly allow: readonly string[];
}

const el = (name: string, content?: string | readonly XmlElement[], attributes?: Record<string, string>): XmlElement =>
  xmlElement(USER_PROFILE_NAMESPACE, name, content, attributes);

/** The document as a MIME entity. */
export function buildUserProfile(profile: UserProfile): MimeEntity {
  const uri = (value: string): XmlElement => el('uri-entry', value);
  const entry = (value: string, i: number): XmlElement => el('entry', [uri(value)], { index: String(i) });
  const common = [
    el(
      'UserAlias',
      profile.aliases.map((alias, i) => el('alias-entry', alias, { index: String(i), 'xml:lang': 'en' })),
    ),
    el('MCPTTUserID', [uri(profile.mcpttId)], { index: '0' }),
    el('MissionCriticalOrganization', profile.organization),
    el('ParticipantType', profile.participantType),
  ];
  const onNetwork = [
    el('MCPTTGroupInfo', profile.groups.map(entry)),
    el('MaxAffiliationsN2', String(profile.maxAffiliations)),
  ];
  const actions = profile.allow.map((action) => el(`allow-${action}`, 'true'));
  const rule = xmlElement(
    COMMON_POLICY,
    'rule',
    [
      xmlElement(COMMON_POLICY, 'conditions', [
        xmlElement(COMMON_POLICY, 'identity', [xmlElement(COMMON_POLICY, 'one', [], { id: profile.mcpttId })]),
      ]),
      xmlElement(COMMON_POLICY, 'actions', actions),
    ],
    { id: 'own' },
  );
  const root = el(
    'mcptt-user-profile',
    [
      el('Name', profile.name, { 'xml:lang': 'en' }),
      el('Status', 'true'),
      el('ProfileName', profile.profileName, { 'xml:lang': 'en' }),
      el('Common', common, { index: '0' }),
      el('OnNetwork', onNetwork, { index: '0' }),
      xmlElement(COMMON_POLICY, 'ruleset', [rule]),
    ],
    { 'XUI-URI': profile.mcpttId, 'user-profile-index': String(profile.index) },
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
  const onNetwork = need(root, 'OnNetwork');
  const rules = childrenOf(need(root, 'ruleset', COMMON_POLICY), 'rule');
  const allow = rules.flatMap((rule) =>
    need(rule, 'actions', COMMON_POLICY)
      .children.filter((action) => action.name.startsWith('allow-') && action.text.trim() === 'true')
      .map((action) => action.name.slice('allow-'.length)),
  );
  return {
    mcpttId: uriOf(need(common, 'MCPTTUserID')),
    index: Number(root.attributes['user-profile-index']),
    name: need(root, 'Name').text,
    profileName: need(root, 'ProfileName').text,
    aliases: childrenOf(need(common, 'UserAlias'), 'alias-entry').map((alias) => alias.text),
    participantType: need(common, 'ParticipantType').text,
    organization: need(common, 'MissionCriticalOrganization').text,
    groups: childrenOf(need(onNetwork, 'MCPTTGroupInfo'), 'entry').map(uriOf),
    maxAffiliations: Number(need(onNetwork, 'MaxAffiliationsN2').text),
    allow,
  };
}
