import { describe, expect, test } from 'vitest'
import { describeKeys } from '../../../src/config/keys.ts'
import { parseConfig } from '../../../src/config/load.ts'

const keys = describeKeys()
const keyAt = (path: string) => keys.find((key) => key.path === path)

describe('describeKeys', () => {
  test('describes every key', () => {
    expect(keys.filter(({ description }) => description === '')).toEqual([])
    expect(keys.length).toBeGreaterThan(20)
  })

  test('names each key once, and its section before it', () => {
    const paths = keys.map(({ path }) => path)
    expect(new Set(paths).size).toBe(paths.length)
    for (const [index, { path, parent, name }] of keys.entries()) {
      expect(path).toBe(parent === '' ? name : `${parent}.${name}`)
      if (parent !== '') expect(paths.slice(0, index)).toContain(parent)
    }
  })

  test('asks for a camera and its path only', () => {
    expect(keys.filter(({ isRequired }) => isRequired).map(({ path }) => path)).toEqual(['camera', 'camera.path'])
  })

  test('knows the sections', () => {
    const sections = keys.filter(({ isSection }) => isSection).map(({ path }) => path)
    expect(sections).toEqual(['camera', 'model', 'inference', 'mqtt', 'log'])
  })

  test('gives the defaults that an empty file gets', () => {
    const config: Record<string, unknown> = parseConfig('camera:\n  path: photos\n', 'c.yaml')
    for (const { path, isSection, fallback } of keys) {
      if (isSection || path === 'camera.path') continue
      const [section = '', name = ''] = path.split('.')
      const value = name === '' ? config[section] : Object(config[section])[name]
      expect([path, fallback]).toEqual([path, value])
    }
  })

  test.each([
    ['camera.source', '`replay`'],
    ['camera.path', 'text'],
    ['camera.width', 'a number, whole, at least 32, at most 4096, an even number'],
    ['inference.threshold', 'a number, at least 0, at most 1'],
    ['id', '1 to 36 lower-case letters, digits and hyphens'],
    ['log.level', '`fatal`, `error`, `warn`, `info`, `debug`, `trace`'],
  ])('says what %s may be', (path, allowed) => {
    expect(keyAt(path)?.allowed).toBe(allowed)
  })
})
