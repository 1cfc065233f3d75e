import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { copied, modelOfVersion, name, pathOf } from '../support/operated-repository.ts'
import { Operator, OtherDevice } from '../support/operator.ts'

describe('killed while it writes', () => {
  test.each([
    ['promote', ['promote', name, '--group', 'garden']],
    ['add', ['add', 'model-2']],
    ['revoke', ['revoke', name]],
    ['key rotate timestamp', ['key', 'rotate', 'timestamp']],
    ['key rotate targets', ['key', 'rotate', 'targets']],
    ['key rotate root', ['key', 'rotate', 'root-1']],
  ])('at any point of %s, devices go on, and the command can be given again', { timeout: 120_000 }, async (_, args) => {
    const base = await copied('rolledOut')
    await cp(await modelOfVersion('2'), join(base.folder, 'model-2'), { recursive: true })
    let kills = 0
    for (let killAt = 1; ; killAt++) {
      const operator = await Operator.start()
      await cp(base.folder, operator.folder, { recursive: true })
      const device = await OtherDevice.of(operator.repo)
      await device.modelOf('porch')
      const { code } = await operator.try(args, { killAt })
      if (code === 0) break
      kills++
      expect(await operator.findings()).toEqual([])
      expect(await device.modelOf('porch')).toBe(pathOf(1))
      // It is done when the last file of it was only to be renamed.
      const again = await operator.try(args)
      expect(again.stderr).toMatch(again.code === 0 ? /^(sightd: warning: .*\n)*$/ : /revoked|no role has a key/)
      expect(await operator.findings()).toEqual([])
    }
    expect(kills).toBeGreaterThanOrEqual(2)
  })

  test('a lost key shuts devices out for a moment only, also when that moment is cut short', {
    timeout: 120_000,
  }, async () => {
    for (let killAt = 1; ; killAt++) {
      const operator = await copied('rolledOut')
      await rm(join(operator.folder, 'keys/timestamp-1.pem'))
      const { code } = await operator.try(['key', 'rotate', 'timestamp'], { killAt })
      if (code === 0) break
      if ((await operator.findings()).length > 0) await operator.run('refresh')
      expect(await operator.findings()).toEqual([])
      await operator.try(['key', 'rotate', 'timestamp'])
      await operator.run('refresh')
      expect(await operator.findings()).toEqual([])
    }
  })

  test('init can be given again', { timeout: 120_000 }, async () => {
    for (let killAt = 1; ; killAt++) {
      const operator = await Operator.start()
      const { code } = await operator.try(['init'], { killAt })
      await operator.try(['init'])
      expect(await operator.findings()).toEqual([])
      if (code === 0) break
    }
  })
})
