/** How often something that keeps answers was asked, and had the answer. */
export class CacheCounts {
  hits = 0;
  misses = 0;

  /** Counts an asking; passes on whether there was an answer. */
  count(isHit: boolean): boolean {
    if (isHit) this.hits += 1;
    else this.misses += 1;
    return isHit;
  }
}
