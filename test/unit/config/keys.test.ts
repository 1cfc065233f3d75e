import { describe, expect, test } from 'vitest'
import { describeKeys } from '../../../src/config/keys.ts'
import { parseConfig } from '../../../src/config/load.ts'

const keys = describeKeys()
const keyAt = (path: string) => keys.find((key) => key.path === path)

describe('describeKeys', () => {
  test('describes every key', () => {
    expect(keys.filter(({ description }) => description === '').map(({ path }) => path)).toEqual([])
    expect(keys.length).toBeGreaterThan(20)
  })

  test('names each key once, and its section before it', () => {
    const paths = keys.map(({ path }) => path)
    // camera.path is there for two sources, which mean different things by it.
    expect(keys.length - new Set(paths).size).toBe(1)
    for (const [index, { path, parent, name }] of keys.entries()) {
      expect(path).toBe(parent === '' ? name : `${parent}.${name}`)
      if (parent !== '') expect(paths.slice(0, index)).toContain(parent)
    }
  })

  test('asks for a camera and its source, and for what that source can not do without', () => {
    const required = keys.filter(({ isRequired, parent }) => isRequired && parent !== 'camera.roi')
    expect(required.map(({ path, only }) => `${path} ${only}`)).toEqual([
      'camera ',
      'camera.source ',
      'camera.device v4l2',
      'camera.url url',
      'camera.path file',
      'camera.path replay',
    ])
  })

  test('knows the sections', () => {
    const sections = keys.filter(({ isSection }) => isSection).map(({ path }) => path)
    expect(sections).toEqual([
      'camera',
      'camera.roi',
      'model',
      'inference',
      'events',
      'motion',
      'pictures',
      'mqtt',
      'home_assistant',
      'ota',
      'governor',
      'web',
      'log',
    ])
  })

  test('gives the defaults that an empty file gets', () => {
    const config: Record<string, unknown> = parseConfig('camera:\n  source: libcamera\n', 'c.yaml')
    for (const { path, parent, isSection, isRequired, only, fallback } of keys) {
      const isOther = only.length > 0 && !only.includes('libcamera')
      if (isSection || isRequired || isOther || parent === 'camera.roi') continue
      const [section = '', name = ''] = path.split('.')
      const value = name === '' ? config[section] : Object(config[section])[name]
      expect([path, fallback]).toEqual([path, value])
    }
  })

  test.each([
    ['camera.source', '`libcamera`, `v4l2`, `url`, `file`, `replay`, `synthetic`'],
    ['camera.path', 'text'],
    ['camera.width', 'a number, whole, at least 32, at most 4096, an even number'],
    ['inference.threshold', 'a number, at least 0, at most 1'],
    ['id', '1 to 36 lower-case letters, digits and hyphens, other than `all` and `update`'],
    ['ota.sources', 'a list, at most 8 of them'],
    ['log.level', '`fatal`, `error`, `warn`, `info`, `debug`, `trace`'],
  ])('says what %s may be', (path, allowed) => {
    expect(keyAt(path)?.allowed).toBe(allowed)
  })
})
