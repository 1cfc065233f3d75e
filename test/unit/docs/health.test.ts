import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { metricEntries } from '../../../src/core/metrics.ts'
import { packageRoot } from '../../../src/lib/package.ts'

const page = readFileSync(join(packageRoot, 'docs/sightd.md'), 'utf8')
const health = page.slice(page.indexOf('\n## Health\n'), page.indexOf('\n## What it logs'))

describe('docs/sightd.md, Health', () => {
  test('names only metrics that there are', () => {
    const names = [...health.matchAll(/sightd_([a-z_0-9]+)/g)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(5)
    expect(names.filter((name) => !(name in metricEntries) && name !== 'build_info')).toEqual([])
  })

  test('its examples are YAML, a scrape configuration and three alerts', () => {
    const [scrape, alerts] = [...health.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => parseDocument(text))
    expect([scrape?.errors, alerts?.errors]).toEqual([[], []])
    expect(scrape?.toJS()).toMatchObject({ scrape_configs: [{ job_name: 'sightd' }] })
    expect(alerts?.toJS().groups[0].rules).toHaveLength(3)
  })
})
