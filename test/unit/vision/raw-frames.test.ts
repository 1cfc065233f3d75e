import { PassThrough, Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { frameBytes } from '../../../src/core/frame.ts'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'
import { splitFrames } from '../../../src/vision/raw-frames.ts'

const geometry = { width: 4, height: 2, stride: 4 }
const bytes = frameBytes(geometry)
const format = { geometry, frameMs: 1000 }

test('frames come out whole however the bytes are cut; a torn tail is dropped and its buffer given back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: bytes * 5 }),
      fc.array(fc.integer({ min: 1, max: bytes * 2 })),
      async (stream, cuts) => {
        const chunks: Buffer[] = []
        let at = 0
        for (const cut of [...cuts, stream.length + 1]) {
          if (at < stream.length) chunks.push(Buffer.from(stream.subarray(at, at + cut)))
          at += cut
        }
        const pool = new BufferPool(1, bytes)
        const frames: number[][] = []
        for await (const frame of splitFrames(Readable.from(chunks), format, pool)) {
          frames.push([...frame.data])
          pool.give(frame.data)
        }
        const whole = Math.floor(stream.length / bytes)
        expect(frames).toEqual(
          Array.from({ length: whole }, (_, i) => [...stream.subarray(i * bytes, (i + 1) * bytes)]),
        )
        expect(() => pool.take()).not.toThrow()
      },
    ),
  )
})

test('a reader that leaves keeps the frame it was given, and no buffer is handed out twice', async () => {
  const pool = new BufferPool(2, bytes)
  let kept: Uint8Array | undefined
  for await (const frame of splitFrames(Readable.from([Buffer.alloc(bytes * 3)]), format, pool)) {
    kept = frame.data
    break
  }
  expect(pool.take()).not.toBe(kept)
  expect(() => pool.take()).toThrow('empty')
})

describe('in time', () => {
  /** A stream whose chunks come when the test says so, and the frames that came out of it. */
  function timedStream(staleAfterGap = 0) {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const stream = new PassThrough()
    const pool = new BufferPool(1, bytes)
    const frames: boolean[] = []
    const ended = (async () => {
      for await (const frame of splitFrames(stream, { geometry, frameMs: 100, staleAfterGap }, pool)) {
        frames.push(frame.isStale)
        pool.give(frame.data)
      }
    })()
    const write = async (count: number, afterMs: number) => {
      vi.advanceTimersByTime(afterMs)
      stream.write(Buffer.alloc(count))
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { write, frames, ended, end: () => stream.end() }
  }

  test('frames after a read gap are stale, as many as may be torn or old; the first frame is not', async () => {
    const { write, frames, ended, end } = timedStream(2)
    await write(bytes, 3000)
    await write(bytes, 100)
    await write(bytes, 600)
    await write(bytes, 1)
    await write(bytes, 100)
    end()
    await ended
    expect(frames).toEqual([false, false, true, true, false])
  })

  test.each([
    ['half the length', bytes / 2, 0],
    ['a quarter of the length', bytes / 4, 0],
    ['the right length, but bytes were lost before', bytes, bytes - 3],
  ])('frames of %s are noticed within 30', async (_, length, first) => {
    const { write, ended } = timedStream()
    const failed = expect(ended).rejects.toThrow(`frames are not ${bytes} bytes long`)
    if (first > 0) await write(first, 100)
    for (let i = 0; i < 30; i++) await write(length, 100)
    await failed
  })

  test('a machine that is slow now and then is no reason for suspicion', async () => {
    const { write, frames, ended, end } = timedStream()
    for (let i = 0; i < 60; i++) {
      if (i % 5 === 0) {
        await write(5, 60)
        await write(bytes - 5, 60)
      } else await write(bytes, 100)
    }
    end()
    await ended
    expect(frames).toHaveLength(60)
  })
})
