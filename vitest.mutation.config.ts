import { defineConfig } from 'vitest/config';

/** The tests that must fail for a mutant (docs/durability.md): fast ones, with a fixed seed, so that a score can be had again. */
export default defineConfig({
  test: {
    include: ['test/unit/watch/*.test.ts', 'test/unit/agent/*.test.ts', 'test/property/watch.test.ts'],
    exclude: ['test/unit/**/{engine,store,ledger,marker-store,observer,open-files}.test.ts'],
    setupFiles: ['test/support/fixed-seed.ts'],
    // a busy machine is no failure; Stryker itself ends what does not end
    testTimeout: 60_000,
  },
});
