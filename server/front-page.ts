/** The page at `/`: says what this is and where to go on. */
export const FRONT_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Covista</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  main { max-width: 40rem; margin: 15vh auto; padding: 0 1.5rem; }
  h1 { font-size: 2rem; font-weight: 650; letter-spacing: -0.02em; margin: 0 0 0.5rem; }
  code { font: 0.9em ui-monospace, monospace; background: color-mix(in srgb, currentColor 8%, transparent); padding: 0.1em 0.35em; border-radius: 0.3em; }
  a { color: light-dark(#0b57d0, #8ab4f8); }
</style>
<main>
  <h1>Covista</h1>
  <p>Versioned tabular data, shared live. This server is running.</p>
  <ul>
    <li><a href="/openapi.json">Every operation over REST</a>, as OpenAPI</li>
    <li>The socket is at <code>/rpc</code>; programs use it through <code>covista/client</code></li>
    <li><a href="/readyz">Whether it is ready</a></li>
  </ul>
</main>
</html>
`;
