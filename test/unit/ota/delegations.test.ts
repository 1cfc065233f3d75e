import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPathInPattern } from '../../../src/ota/delegations.ts'

describe('a path and a pattern', () => {
  /** Some are from the specification, 4.5. */
  test.each([
    ['targets/foo.tgz', 'targets/*.tgz', true],
    ['targets/foo.txt', 'targets/*.tgz', false],
    ['targets/foo-version-a.tgz', 'targets/foo-version-?.tgz', true],
    ['targets/foo-version-alpha.tgz', 'targets/foo-version-?.tgz', false],
    ['foo.tgz', '*.tgz', true],
    ['targets/foo.tgz', '*.tgz', false],
    ['foo/bar.tgz', '*/*.tgz', true],
    ['desired/a.json', 'desired/a.json', true],
    ['desired/aXjson', 'desired/a.json', false],
    ['desired/a.json', 'desired/*', true],
    ['desired/', 'desired/*', true],
    ['desired', 'desired/*', false],
    ['desired/a/b', 'desired/*', false],
    ['desired/a/b', 'desired/**', false],
    ['a', '', false],
    ['', '', true],
    ['abcabc', 'a*bc', true],
    ['abcabd', 'a*bc', false],
    ['a', '[a]', false],
    ['a', '{a,b}', false],
    ['[a]', '[a]', false],
    ['a', '\\a', false],
    ['a', '!b', false],
  ])('%j in %j: %s', (path, pattern, fits) => {
    expect(isPathInPattern(path, pattern)).toBe(fits)
  })

  test('is as a regular expression would say', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 8 })
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/', '.'), maxLength: 6 })
    fc.assert(
      fc.property(letters, patterns, (path, pattern) => {
        const source = pattern.replaceAll('.', '\\.').replaceAll('?', '[^/]').replaceAll('*', '[^/]*')
        expect(isPathInPattern(path, pattern)).toBe(new RegExp(`^${source}$`).test(path))
      }),
      { numRuns: 3000 },
    )
  })

  test('takes no time, whatever the pattern', () => {
    const startMs = performance.now()
    expect(isPathInPattern('a'.repeat(1000), '*a'.repeat(500).concat('b'))).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(200)
  })
})
