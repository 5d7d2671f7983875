import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    maxWorkers: 2,
    // two noisy cores: in CI a test bound to real time gets a second try, on a desk it fails
    retry: process.env['CI'] === undefined ? 0 : 1,
  },
});
