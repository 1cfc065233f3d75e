import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { Fifo } from '../../../src/vision/fifo.ts'
import { tempFolder } from '../../support/temp-folder.ts'

async function newFifo() {
  const fifo = await Fifo.create(join(await tempFolder(), 'camera.fifo'))
  onTestFinished(() => fifo.close())
  return fifo
}

/** More than a pipe holds. */
const muchMore = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251)

test('every byte comes out once and in order, and stays as it is until the next chunk is asked for', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 })
  const isSlow = fc.array(fc.boolean(), { minLength: 1 })
  await fc.assert(
    fc.asyncProperty(sizes, isSlow, async (writes, pauses) => {
      const fifo = await newFifo()
      const sent = muchMore.subarray(
        0,
        writes.reduce((a, b) => a + b),
      )
      const writer = createWriteStream(fifo.path)
      let at = 0
      for (const size of writes) {
        writer.write(sent.subarray(at, at + size))
        at += size
      }
      writer.end()
      const came: Buffer[] = []
      for await (const chunk of fifo) {
        // Time for more to come in.
        for (let i = 0; i < 3 && pauses[came.length % pauses.length]; i++) await new Promise(setImmediate)
        came.push(Buffer.from(chunk))
      }
      expect(Buffer.concat(came).equals(sent)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('drained, it takes whatever a writer has, though nobody asks', async () => {
  const fifo = await newFifo()
  const writer = createWriteStream(fifo.path)
  await new Promise((resolve) => writer.write(muchMore.subarray(0, 100), resolve))
  expect((await fifo.next()).value).toHaveLength(100)
  fifo.drain()
  await new Promise<void>((resolve) => writer.end(muchMore, resolve))
})

test('closed, it ends for its reader, fails for its writer, and its name is gone', async () => {
  const fifo = await newFifo()
  const writer = createWriteStream(fifo.path)
  const failed = once(writer, 'error')
  writer.write(muchMore)
  await fifo.next()
  const rest = (async () => {
    for await (const _ of fifo);
  })()
  await fifo.close()
  await rest
  expect(await failed).toMatchObject([{ code: 'EPIPE' }])
  await expect(stat(fifo.path)).rejects.toThrow('ENOENT')
})

test('what a run before has left under its name is replaced', async () => {
  const path = join(await tempFolder(), 'camera.fifo')
  await writeFile(path, 'not a FIFO')
  const fifo = await Fifo.create(path)
  onTestFinished(() => fifo.close())
  expect((await stat(path)).isFIFO()).toBe(true)
})
