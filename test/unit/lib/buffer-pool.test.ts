import { describe, expect, test } from 'vitest'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'

describe('BufferPool', () => {
  test('hands out as many different buffers as it has, each of the right length', () => {
    const pool = new BufferPool(3, 16)
    const taken = [pool.take(), pool.take(), pool.take()]
    expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(3)
    expect(taken.map(({ length }) => length)).toEqual([16, 16, 16])
  })

  test('hands out again what was given back', () => {
    const pool = new BufferPool(1, 16)
    const buffer = pool.take()
    pool.give(buffer)
    expect(pool.take()).toBe(buffer)
  })

  test('says so when it is empty', () => {
    expect(() => new BufferPool(0, 16).take()).toThrow('buffer pool is empty')
  })
})
