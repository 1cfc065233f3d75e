import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OwnBoots } from '../../../src/mqtt/own-boots.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const run = (boot: string, startedMs = 0) => ({ boot, startedMs })

test('knows this run and those before it, whatever their clocks said', async () => {
  const folder = await tempFolder()
  await OwnBoots.open(folder, run('a', 9_000_000))
  await OwnBoots.open(folder, run('b', 10))
  const boots = await OwnBoots.open(folder, run('c', 1000))
  for (const boot of ['a', 'b', 'c']) expect(boots.has(run(boot, 5_000_000))).toBe(true)
  for (const startedMs of [1, 5_000_000, Number.NaN]) expect(boots.has(run('d', startedMs))).toBe(false)
})

test('keeps the newest 256', async () => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'boots.json'), JSON.stringify(Array.from({ length: 300 }, (_, i) => `${i}`)))
  const boots = await OwnBoots.open(folder, run('new'))
  expect(['44', '45', '299', 'new'].map((boot) => boots.has(run(boot)))).toEqual([false, true, true, true])
  expect(JSON.parse(await readFile(join(folder, 'boots.json'), 'utf8'))).toHaveLength(256)
})

test.each(['', '{', 'null', '{"a":1}', '[1,2]', 'x'.repeat(100_000)])('begins anew behind %j', async (text) => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'boots.json'), text)
  await OwnBoots.open(folder, run('a'))
  const boots = await OwnBoots.open(folder, run('b', 1000))
  expect(boots.has(run('a'))).toBe(true)
  expect(boots.has(run('c', 1))).toBe(false)
})

test('where runs can not be kept, any that began before this one may be ours', async () => {
  const file = join(await tempFolder(), 'file')
  await writeFile(file, '')
  const boots = await OwnBoots.open(join(file, 'state'), run('a', 1000))
  expect(boots.has(run('a', 2000))).toBe(true)
  expect(boots.has(run('b', 1000))).toBe(true)
  expect(boots.has(run('b', 1001))).toBe(false)
  expect(boots.has(run('b', Number.NaN))).toBe(false)
})
