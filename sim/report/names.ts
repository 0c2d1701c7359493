/** What the reports call the actors, short enough for a ladder's head. */
const SHORT: Readonly<Record<string, string>> = {
  ue: 'UE',
  'access-network': 'Network',
  'sip-core': 'SIP core',
  'mcptt-as': 'MCPTT',
  idm: 'IdM',
  kms: 'KMS',
};

/** Order of the lifelines, as in the figure. */
const ORDER = ['ue', 'access-network', 'sip-core', 'mcptt-as', 'idm', 'kms'];

/** `ue-bob` → `UE bob`. */
export function shortName(actor: string): string {
  const known = SHORT[actor];
  if (known !== undefined) return known;
  const kind = ORDER.find((k) => actor.startsWith(`${k}-`));
  return kind === undefined ? actor : `${SHORT[kind]} ${actor.slice(kind.length + 1)}`;
}

/** The lifelines that the arrows touch, in the figure's order. */
export function lifelines(arrows: readonly { from: string; to: string }[]): string[] {
  const names = new Set(arrows.flatMap((a) => [a.from, a.to]));
  const rank = (name: string): number => {
    const at = ORDER.findIndex((k) => name === k || name.startsWith(`${k}-`));
    return at < 0 ? ORDER.length : at;
  };
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
