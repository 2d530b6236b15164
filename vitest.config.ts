import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only how long a test waits for what never comes; a machine may be busy.
    expect: { poll: { timeout: 30_000 } },
    retry: 0,
    passWithNoTests: false,
    sequence: { shuffle: true },
  },
});
