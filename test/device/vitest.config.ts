import { defineConfig } from 'vitest/config'

/** `npm run test:device`: what takes minutes, or tools that not every machine has. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/device/*.test.ts'],
    globalSetup: ['test/device/build-packages.ts'],
    maxWorkers: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: 'coverage/device-tests.json' }]] : ['default'],
  },
})
