import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configDocs } from '../../../src/cli/config.ts'
import { parseConfig } from '../../../src/config/load.ts'

const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')

test('docs/configuration.md is what `npm run docs` makes of the schema', () => {
  expect(page).toBe(configDocs())
})

test('the smallest file that works, as docs/configuration.md shows it, works', () => {
  const example = /```yaml\n([^`]+)```/.exec(page)?.[1] ?? ''
  expect(parseConfig(example, 'example').camera).toMatchObject({ source: 'replay', path: '/srv/photos' })
})
