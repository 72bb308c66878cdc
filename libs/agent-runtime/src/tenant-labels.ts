/** The name under which tenants beyond the bound are counted together. */
const otherTenants = '_other';

/**
 * Bounds the tenants that get counters of their own: names come from outside, and every new one
 * would be a new time series in Prometheus and memory that is never given back. The first `limit`
 * names keep theirs for the life of the process; the rest share {@link otherTenants}, so that sums
 * stay right.
 */
export class TenantLabels {
  readonly #known = new Set<string>();

  constructor(readonly limit: number) {}

  labelOf(tenant: string): string {
    if (this.#known.has(tenant)) return tenant;
    if (this.#known.size >= this.limit) return otherTenants;
    this.#known.add(tenant);
    return tenant;
  }
}
