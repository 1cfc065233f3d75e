import { chmod, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ServiceManager } from '../../../src/system/service-manager.ts'
import { ServiceReport } from '../../../src/system/service-report.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A systemd-notify that writes down what it is to send. */
async function listening({ watchdogUsec = '60000000' } = {}) {
  const folder = await tempFolder()
  const told = join(folder, 'told')
  await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$*" >>'${told}'\n`)
  await chmod(join(folder, 'systemd-notify'), 0o755)
  const path = process.env['PATH'] ?? ''
  process.env['PATH'] = `${folder}${delimiter}${path}`
  onTestFinished(() => {
    process.env['PATH'] = path
  })
  const manager = new ServiceManager({ NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: watchdogUsec })
  return {
    manager,
    /** Everything that was told, once STOPPING=1 is through. */
    async all(): Promise<string[]> {
      await manager.stopping()
      return (await readFile(told, 'utf8')).trimEnd().split('\n').slice(0, -1)
    },
  }
}

const fine = { reason: null, isProgressing: true, line: 'all is well' }

describe('what systemd is told', () => {
  test('that more time is needed while it starts; that it is up when it sees; that work goes on', async () => {
    const { manager, all } = await listening()
    const report = new ServiceReport(manager)
    report.note({ ...fine, status: 'starting' }, 0)
    report.note({ ...fine, status: 'starting' }, 1000)
    report.note({ ...fine, status: 'running' }, 2000)
    report.note({ ...fine, status: 'running' }, 12_000)
    report.note({ ...fine, status: 'running' }, 23_000)
    expect(await all()).toEqual([
      'STATUS=all is well',
      'EXTEND_TIMEOUT_USEC=90000000',
      'WATCHDOG=1',
      // `running` in the same words: nothing new to tell.
      'READY=1',
      'WATCHDOG=1',
    ])
  })

  test('a camera that is missing is told, and is no reason for another start', async () => {
    const { manager, all } = await listening()
    const report = new ServiceReport(manager)
    report.note({ ...fine, status: 'degraded', reason: 'no camera; trying again' }, 0)
    expect(await all()).toEqual(['STATUS=degraded: no camera; trying again', 'READY=1', 'WATCHDOG=1'])
  })

  test('nothing when nothing gets finished: the watchdog goes hungry', async () => {
    const { manager, all } = await listening()
    const report = new ServiceReport(manager)
    report.note({ ...fine, status: 'running' }, 0)
    for (let ms = 1000; ms < 100_000; ms += 1000) report.note({ ...fine, status: 'running', isProgressing: false }, ms)
    expect((await all()).filter((line) => line === 'WATCHDOG=1')).toHaveLength(1)
  })

  test('no word of a watchdog where there is none, or where it is meant for another process', async () => {
    const { manager, all } = await listening({ watchdogUsec: '' })
    new ServiceReport(manager).note({ ...fine, status: 'running' }, 0)
    expect(await all()).toEqual(['STATUS=all is well', 'READY=1'])
    const { watchdogMs } = new ServiceManager({ NOTIFY_SOCKET: 'x', WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' })
    expect(watchdogMs).toBeUndefined()
  })

  test('nothing at all where systemd did not start us, and a systemd-notify that fails harms nobody', async () => {
    await new ServiceManager({}).stopping()
    const { manager } = await listening()
    process.env['PATH'] = '/nowhere'
    manager.ready()
    await manager.stopping()
  })
})
