/** The registry as OpenAPI 3.1. */
export function openApi(): unknown {
  return { openapi: '3.1.0' };
}
