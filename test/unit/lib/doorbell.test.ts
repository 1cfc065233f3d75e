import { describe, expect, test } from 'vitest'
import { Doorbell } from '../../../src/lib/doorbell.ts'

const never = new AbortController().signal

describe('Doorbell', () => {
  test('wakes who waits', async () => {
    const bell = new Doorbell()
    const woken = bell.moreThan(bell.rings, never)
    bell.ring()
    await woken
  })

  test('does not let what rang before one waits be slept through', async () => {
    const bell = new Doorbell()
    const { rings } = bell
    bell.ring()
    await bell.moreThan(rings, never)
  })

  test('waits for the next ring, not for one that was seen', async () => {
    const bell = new Doorbell()
    bell.ring()
    let isWoken = false
    const woken = bell.moreThan(bell.rings, never).then(() => {
      isWoken = true
    })
    await Promise.resolve()
    expect(isWoken).toBe(false)
    bell.ring()
    await woken
  })

  test('ends with its signal, at once when that has been given', async () => {
    const stop = new AbortController()
    const woken = new Doorbell().moreThan(0, stop.signal)
    stop.abort()
    await woken
    await new Doorbell().moreThan(0, stop.signal)
  })
})
