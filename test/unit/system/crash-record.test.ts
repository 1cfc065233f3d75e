import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CrashRecord } from '../../../src/system/crash-record.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe('the crash record', () => {
  test('after an end in good order, and at the first start, there is nothing to tell', async () => {
    const folder = await tempFolder()
    for (const _ of [1, 2]) {
      const record = await CrashRecord.open(folder, 'boot-1')
      expect(record.crash).toBeUndefined()
      await record.close()
    }
    expect(await readdir(folder)).toEqual([])
  })

  test('a failure is told until someone has heard of it, with the last log lines', async () => {
    const folder = await tempFolder()
    const failing = await CrashRecord.open(folder, 'boot-1')
    for (let i = 0; i < 60; i++) failing.note(`line ${i} ${'x'.repeat(i === 59 ? 1000 : 0)}\n`)
    failing.write(new Error('it broke', { cause: new Error('here') }))

    const unheard = await CrashRecord.open(folder, 'boot-1')
    await unheard.close()
    const heard = await CrashRecord.open(folder, 'boot-1')
    const { crash } = heard
    expect(crash).toEqual(unheard.crash)
    await heard.told()
    await heard.close()
    expect(crash).toMatchObject({ reason: 'it broke: here', ts: expect.stringMatching(/Z$/) })
    expect(crash?.log).toHaveLength(50)
    expect(crash?.log[0]).toBe('line 10')
    expect(crash?.log.at(-1)).toHaveLength(500)
    // It lies there for a person, and is not told again.
    expect(JSON.parse(await readFile(join(folder, 'last-crash.json'), 'utf8'))).toEqual(crash)
    await (await CrashRecord.open(folder, 'boot-1')).close()
    expect((await CrashRecord.open(folder, 'boot-1')).crash).toBeUndefined()
  })

  test('of two that nobody has heard of, the newer is told', async () => {
    const folder = await tempFolder()
    ;(await CrashRecord.open(folder, 'boot-1')).write(new Error('it broke'))
    await CrashRecord.open(folder, 'boot-1')
    // The clock's next millisecond.
    await writeFile(join(folder, 'running.json'), '{"started":"2099-01-01T00:00:00.000Z","bootId":"boot-1"}')
    expect((await CrashRecord.open(folder, 'boot-1')).crash).toMatchObject({ reason: 'killed' })
  })

  test.each([
    [
      'the board was started anew',
      'boot-2',
      undefined,
      'the power was lost, or the board was started anew, while it ran',
    ],
    ['nobody says', 'boot-1', undefined, 'killed'],
    [
      'the watchdog',
      'boot-1',
      'watchdog killed ABRT\n',
      'killed by the watchdog of the service: nothing got finished any more',
    ],
    ['memory', 'boot-1', 'oom-kill killed KILL\n', 'killed by the kernel: the board was out of memory'],
    ['a signal', 'boot-1', 'core-dump dumped SEGV\n', 'ended by SEGV (core-dump)'],
  ])('a run that was killed: %s', async (_, bootId, lastExit, reason) => {
    const folder = await tempFolder()
    await CrashRecord.open(folder, 'boot-1')
    if (lastExit !== undefined) await writeFile(join(folder, 'last-exit'), lastExit)
    expect((await CrashRecord.open(folder, bootId)).crash).toMatchObject({ reason, log: [] })
  })

  test.each(['', '{', '{"ts":"yesterday","reason":1}', '[]'])('files with %o in them are nothing', async (text) => {
    const folder = await tempFolder()
    for (const name of ['running.json', 'crash.json']) await writeFile(join(folder, name), text)
    expect((await CrashRecord.open(folder, 'boot-1')).crash).toBeUndefined()
  })

  test('a folder that can not be written is no reason not to start', async () => {
    const record = await CrashRecord.open('/proc/sightd', 'boot-1')
    record.note('line')
    record.write(new Error('it broke'))
    await record.close()
    expect(record.crash).toBeUndefined()
  })
})
