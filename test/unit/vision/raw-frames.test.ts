import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { frameBytes } from '../../../src/core/frame.ts'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'
import { splitFrames } from '../../../src/vision/raw-frames.ts'

const geometry = { width: 4, height: 2, stride: 4 }
const bytes = frameBytes(geometry)

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
        for await (const frame of splitFrames(Readable.from(chunks), geometry, pool)) {
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
  for await (const frame of splitFrames(Readable.from([Buffer.alloc(bytes * 3)]), geometry, pool)) {
    kept = frame.data
    break
  }
  expect(pool.take()).not.toBe(kept)
  expect(() => pool.take()).toThrow('empty')
})
