import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meetRestart } from '../../bench/support/restart-crowd.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const CLIENTS = 200;

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer(['--reconnect-delay-ms', '200']);
});

afterAll(() => server?.stop());

describe('a restart', () => {
  test('OPS10 OPS14 everybody comes back with what they had, and nothing that was acknowledged is lost', async () => {
    const report = await meetRestart({
      url: server.url,
      token: (subject) => server.token(subject, { claims: { groups: ['crowd'] } }),
      clients: CLIENTS,
      sdkEvery: 2,
      perDocument: 100,
      notes: 100,
      restart: async () => {
        await server.restart();
        return performance.now();
      },
      giveUpMs: 120_000,
    });
    expect(report.backMs.length).toBe(CLIENTS);
    expect(report.backMs.filter((ms) => ms === Number.POSITIVE_INFINITY)).toEqual([]);
    expect(report.commands).toMatchObject({ failed: [], lost: 0 });
    expect(report.commands.acknowledged).toBeGreaterThan(0);
    // The whole of a document is at least 40 KB; what is missing of it is next to nothing, and who else is there is told besides.
    expect(report.firstBytes).toBeGreaterThan(CLIENTS * 40_000);
    expect(report.againBytes).toBeLessThan(report.firstBytes / 4);
  }, 240_000);
});
