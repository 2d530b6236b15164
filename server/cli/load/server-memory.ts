const RESIDENT = /^(?:\w+_)?process_resident_memory_bytes(?:\{[^}]*\})? (\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/m;
const ANSWER_MS_MAX = 2_000;

/** Resident memory of the server in bytes, where its `/metrics` tells the caller; undefined where it does not. */
export async function serverMemory(url: string, token: string): Promise<number | undefined> {
  try {
    const response = await fetch(new URL('/metrics', url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const found = response.ok ? RESIDENT.exec(await response.text()) : null;
    return found === null ? undefined : Number(found[1]);
  } catch {
    // That the server does not tell is an answer, too: the report then goes without it.
    return undefined;
  }
}
