/** The rule of lastdata (SPEC 4) as a fold, written without any of its code. */

/** A version of an entity, in the order in which the agent reads them. */
export interface FoldVersion {
  readonly name: string;
  /** Any unit; null without TimeInstant. */
  readonly instant: number | null;
  /** What Orion announces, if anything. */
  readonly alteration: 'entityCreate' | 'entityUpdate' | 'entityDelete' | null;
  /** Which version it is. */
  readonly sequence: string;
}

/** A committed output. */
export interface Seen {
  readonly name: string;
  /** null for a tombstone. */
  readonly sequence: string | null;
}

export interface Newest {
  readonly instant: number;
  readonly deleted: boolean;
}

/** The emitted outputs, and for each entity the newest instant and deletion. */
export function fold(versions: readonly FoldVersion[]): { emitted: Seen[]; newest: Map<string, Newest> } {
  const emitted: Seen[] = [];
  const newest = new Map<string, Newest>();
  for (const { name, instant, alteration, sequence } of versions) {
    const known = newest.get(name);
    if (alteration === 'entityDelete') {
      const latest = Math.max(instant ?? Number.NEGATIVE_INFINITY, known?.instant ?? Number.NEGATIVE_INFINITY);
      if (latest !== Number.NEGATIVE_INFINITY) newest.set(name, { instant: latest, deleted: true });
      emitted.push({ name, sequence: null });
      continue;
    }
    if (instant !== null) {
      if (known !== undefined && instant < known.instant) continue;
      if (known?.deleted === true && instant === known.instant && alteration !== 'entityCreate') continue;
      newest.set(name, { instant, deleted: false });
    }
    emitted.push({ name, sequence });
  }
  return { emitted, newest };
}
