import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../../src/config/load.ts'
import { outcomeCodes, type UpdateStatus, updateOutcomes } from '../../../src/core/update-status.ts'
import { packageRoot } from '../../../src/lib/package.ts'
import { deviceCommands } from '../../../src/mqtt/device-commands.ts'
import { updateStatus } from '../../support/updates.ts'

const page = readFileSync(join(packageRoot, 'docs/ota.md'), 'utf8')
const onTheDevice = page.slice(page.indexOf('\n## On the device\n'), page.indexOf('\n## When it says no\n'))
const endings = onTheDevice.slice(onTheDevice.indexOf('\n### How an update ends\n'))

/** First cells of a table, with all the code in them. */
const rows = (text: string) =>
  [...text.matchAll(/^\| (`.*?`) \| /gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, word = '']) => word),
  )

const phases: Record<Exclude<UpdateStatus['phase'], 'idle'>, true> = {
  check: true,
  download: true,
  self_test: true,
  waiting: true,
  shadow: true,
  trial: true,
}

describe('docs/ota.md, On the device', () => {
  test('its example is a configuration', () => {
    const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(onTheDevice) ?? []
    expect(parseConfig(`camera: { source: synthetic }\n${yaml}`, 'ota.md').ota).toMatchObject({
      sources: [expect.any(String), expect.any(String)],
      group: 'porch',
      window: '02:00-04:30',
    })
  })

  test('every phase has its row, in the order in which they come', () => {
    expect(rows(onTheDevice.slice(0, onTheDevice.indexOf('### How')))).toEqual(Object.keys(phases))
  })

  test('every code that an update can end with has its row, and no other', () => {
    expect(rows(endings)).toEqual(outcomeCodes)
  })

  test('names every outcome and every command', () => {
    const device = {
      info: () => ({}),
      takePicture: () => undefined,
      restart: async () => {},
      settings: () => ({ config: {}, overlay: {} }),
      change: async () => undefined,
      updates: undefined,
      updateStatus,
    }
    const commands = Object.keys(deviceCommands(device, () => {})).filter((name) => /update|rollback/.test(name))
    expect(commands).toHaveLength(7)
    const words = [...updateOutcomes, ...commands].map((word) => `\`${word}\``)
    expect(words.filter((word) => !onTheDevice.includes(word))).toEqual([])
  })
})
