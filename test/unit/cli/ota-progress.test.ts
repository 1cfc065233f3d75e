import { expect, test } from 'vitest'
import { progressBar } from '../../../src/cli/ota/progress.ts'

test('a bar says how much of how much, and of what', () => {
  expect(progressBar(2_100_000, 5_000_000, 'a')).toBe('[##########..............]  42 %  2.1 of 5.0 MB  a')
  expect(progressBar(5_000_000, 5_000_000, 'a')).toMatch(/^\[#{24}\] 100 %/)
  expect(progressBar(0, 0, 'a')).toMatch(/^\[#{24}\] 100 %/)
})
