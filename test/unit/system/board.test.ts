import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { deviceIdSchema } from '../../../src/config/schema.ts'
import { defaultDeviceId, readBoard, residentBytes } from '../../../src/system/board.ts'

const unknown = { os: null, model: null, serial: null }

describe('readBoard', () => {
  test('names the operating system as it calls itself', async () => {
    const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
    const line = release.split('\n').find((text) => text.startsWith('PRETTY_NAME='))
    expect((await readBoard()).os).toBe(line?.slice('PRETTY_NAME='.length).replaceAll('"', '') ?? null)
  })

  test('knows a model and a serial number where there is a device tree', async () => {
    const { model, serial } = await readBoard()
    const hasDeviceTree = existsSync('/proc/device-tree/model')
    expect(model !== null).toBe(hasDeviceTree)
    expect(`${model}${serial}`).not.toContain('\0')
  })
})

describe('defaultDeviceId', () => {
  test('ends in the last six characters of the serial number', async () => {
    const id = await defaultDeviceId({ ...unknown, serial: '10000000a1b2c3d4' })
    expect(id).toMatch(/-b2c3d4$/)
    expect(hostname().toLowerCase()).toContain(id.split('-')[0])
  })

  test.each(['10000000a1b2c3d4', '1', null, 'ABC/+#12', '###'])(
    'is allowed as an id, with the serial number %s',
    async (serial) => {
      expect(v.is(deviceIdSchema, await defaultDeviceId({ ...unknown, serial }))).toBe(true)
    },
  )

  test('stays the same from start to start, also without a serial number', async () => {
    expect(await defaultDeviceId(unknown)).toBe(await defaultDeviceId(unknown))
  })
})

describe('residentBytes', () => {
  test('of this process are about what Node says', async () => {
    const bytes = (await residentBytes(process.pid)) ?? 0
    expect(bytes / process.memoryUsage.rss()).toBeGreaterThan(0.5)
    expect(bytes / process.memoryUsage.rss()).toBeLessThan(2)
  })

  test('of a process that is gone are unknown', async () => {
    const child = spawn('true')
    await once(child, 'close')
    expect(await residentBytes(child.pid)).toBeUndefined()
  })

  test('of no process are unknown', async () => {
    expect(await residentBytes(undefined)).toBeUndefined()
  })
})
