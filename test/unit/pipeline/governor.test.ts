import { describe, expect, test } from 'vitest'
import { type BoardReading, Governor, halvedFps } from '../../../src/pipeline/governor.ts'

const limits = { hotC: 80, coolC: 75 }
const cool: BoardReading = { tempC: 60, throttled: 0 }

/** Feeds a reading every 10 s for so many seconds; the seconds at which the rate changed. */
function feed(governor: Governor, reading: BoardReading, fromS: number, toS: number): number[] {
  const changes: number[] = []
  for (let second = fromS; second <= toS; second += 10) if (governor.note(reading, second * 1000)) changes.push(second)
  return changes
}

describe('Governor', () => {
  test.each<[string, BoardReading, string]>([
    ['throttled', { tempC: 60, throttled: 0x4 }, 'the firmware throttles the CPU (0x4)'],
    ['at its soft limit', { tempC: 60, throttled: 0x80008 }, 'the firmware throttles the CPU (0x80008)'],
    ['too hot', { tempC: 80, throttled: null }, 'the CPU is at 80 °C'],
  ])('halves the rate after 30 s of a board that is %s, and says why', (_, reading, reason) => {
    const governor = new Governor(limits)
    expect(feed(governor, reading, 0, 60)).toEqual([30])
    expect(governor.reason).toBe(reason)
  })

  test('gives it back after a minute below the lower limit', () => {
    const governor = new Governor(limits)
    feed(governor, { tempC: 85, throttled: 0 }, 0, 30)
    expect(feed(governor, { tempC: 78, throttled: 0 }, 40, 400)).toEqual([])
    expect(feed(governor, cool, 410, 600)).toEqual([470])
    expect(governor.reason).toBe(undefined)
  })

  test('a moment of trouble, or of rest, changes nothing', () => {
    const governor = new Governor(limits)
    for (let second = 0; second < 600; second += 20) {
      expect(governor.note({ tempC: 90, throttled: 0 }, second * 1000)).toBe(false)
      expect(governor.note(cool, (second + 10) * 1000)).toBe(false)
    }
    feed(governor, { tempC: 90, throttled: 0 }, 600, 630)
    for (let second = 640; second < 1200; second += 60) {
      feed(governor, cool, second, second + 40)
      expect(governor.note({ tempC: 90, throttled: 0 }, (second + 50) * 1000)).toBe(false)
    }
    expect(governor.reason).toBe('the CPU is at 90 °C')
  })

  test.each<[string, BoardReading]>([
    ['that tells nothing', { tempC: null, throttled: null }],
    ['with under-voltage only', { tempC: 50, throttled: 0x50001 }],
    ['that was throttled once', { tempC: 50, throttled: 0x40000 }],
  ])('leaves a board alone %s', (_, reading) => {
    expect(feed(new Governor(limits), reading, 0, 600)).toEqual([])
  })
})

test.each([
  [null, 10, 125, 4],
  [6, 10, 125, 3],
  [null, 10, undefined, 5],
  [20, 10, 5, 5],
])('half of limit %s, camera %s and runs of %s ms is %s', (maxFps, cameraFps, inferenceMs, half) => {
  expect(halvedFps(maxFps, cameraFps, inferenceMs)).toBe(half)
})
