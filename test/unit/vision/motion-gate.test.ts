import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MotionGate, type MotionOptions } from '../../../src/vision/motion-gate.ts'
import { draw, type Look, room } from './luma.ts'

const geometry = { width: 480, height: 360, stride: 512 }
const sensitivities = ['low', 'medium', 'high'] as const
const frameMs = 100

/** As long as no test lasts. */
const neverIdle = 1e6

/** A gate that has got used to a scene, and the times at which frames passed since. */
function watch(still: Look, options: Partial<MotionOptions> = {}) {
  const gate = new MotionGate({ sensitivity: 'medium', idle_s: neverIdle, ...options })
  let now = 0
  const show = (look: Look) => {
    now += frameMs
    return gate.passes({ geometry, data: draw(look, geometry) }, now)
  }
  for (let i = 0; i < 35; i++) show(still)
  return {
    gate,
    show,
    /** Of so many frames the numbers of those that pass, from 1. */
    passing: (count: number, look: (frame: number) => Look) =>
      Array.from({ length: count }, (_, i) => (show(look(i + 1)) ? i + 1 : 0)).filter((frame) => frame > 0),
  }
}

const still = (sigma = 3): Look => ({ level: room, sigma })

/** Something as bright as that in the room, of that share of the frame's area. */
const withObject = (share: number, level: number, x = 190, y = 170): Look => {
  const side = Math.sqrt(share * geometry.width * geometry.height)
  return {
    level: (px, py) => (px >= x && px < x + side && py >= y && py < y + side ? level : room(px, py)),
    sigma: 3,
  }
}

const lit = (gain: number, offset = 0): Look => ({ level: (x, y) => gain * room(x, y) + offset, sigma: 3 })

describe.each(sensitivities)('MotionGate, sensitivity %s', (sensitivity) => {
  test.each([0, 3, 8, 15])('a still scene does not move, with camera noise of %s levels', (sigma) => {
    const { passing } = watch(still(sigma), { sensitivity })
    expect(passing(60, () => still(sigma))).toEqual([])
  })

  test('something that covers 2 % of the area and moves is seen at once, and as long as it moves', () => {
    const { show, passing } = watch(still(), { sensitivity })
    expect(show(withObject(0.02, 160))).toBe(true)
    expect(passing(50, (frame) => withObject(0.02, 160, 190 + 3 * frame))).toHaveLength(50)
  })

  test('a slow change of all the light is no motion, up or down, by gain or by offset', () => {
    const { passing } = watch(lit(1), { sensitivity })
    expect(passing(60, (frame) => lit(1 + frame / 100))).toEqual([])
    expect(passing(100, (frame) => lit(1.6 - frame / 100))).toEqual([])
    expect(passing(40, (frame) => lit(0.6, frame))).toEqual([])
  })

  test.each([1.8, 0.4])(
    'light that is switched (brightness times %s) is motion once, then the scene is still',
    (gain) => {
      const { passing } = watch(lit(1), { sensitivity })
      // Three seconds are looked at; were it motion twice, it would be more.
      expect(passing(80, () => lit(gain))).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    },
  )
})

describe('MotionGate', () => {
  test('sensitivity says how small and how faint a thing is motion', () => {
    const seen = (look: Look) => sensitivities.filter((sensitivity) => watch(still(), { sensitivity }).show(look))
    expect(seen(withObject(0.0005, 200))).toEqual([])
    expect(seen(withObject(0.003, 200))).toEqual(['high'])
    expect(seen(withObject(0.008, 200))).toEqual(['medium', 'high'])
    expect(seen(withObject(0.05, 113))).toEqual(['high'])
    expect(seen(withObject(0.05, 120))).toEqual(['medium', 'high'])
  })

  test('most of the picture moving does not hide behind itself', () => {
    const { show } = watch(still())
    expect(show(withObject(0.6, 150, 40, 30))).toBe(true)
  })

  test('a crowd that goes on moving does not become noise', () => {
    const { passing } = watch(still())
    const crowd = (frame: number): Look => ({
      level: (x, y) =>
        x < 340 ? 20 + ((Math.floor(x / 16) * 7 + Math.floor(y / 16) * 3 + frame * 5) % 11) * 20 : room(x, y),
    })
    expect(passing(100, crowd)).toHaveLength(100)
  })

  test('light may grow beyond what the camera can show', () => {
    const bright = (gain: number): Look => ({ level: (x, y) => gain * (x < 150 ? 220 - y / 4 : room(x, y)), sigma: 2 })
    const { passing } = watch(bright(1), { sensitivity: 'high' })
    expect(passing(80, (frame) => bright(1 + frame / 100))).toEqual([])
    expect(passing(80, (frame) => bright(1.8 - frame / 100))).toEqual([])
  })

  test('a far light in a black night says nothing about the rest', () => {
    const { show, passing } = watch({ level: () => 0 })
    const light: Look = { level: (x, y) => (x >= 200 && x < 206 && y >= 200 && y < 206 ? 150 : 0) }
    expect(passing(20, () => light)).toEqual([])
    expect(show({ level: (x, y) => (x >= 200 && x < 260 && y >= 200 && y < 260 ? 150 : 0) })).toBe(true)
  })

  test('noise that grows little by little is no motion', () => {
    const { passing } = watch(still(1), { sensitivity: 'high' })
    expect(passing(150, (frame) => still(1 + frame / 10))).toEqual([])
  })

  test('after motion it looks on for 3 s, what has come to stay becomes background, and leaving is motion again', () => {
    const { passing, show } = watch(still())
    const parked = withObject(0.02, 160)
    const passed = passing(300, () => parked)
    const last = passed.at(-1) ?? 0
    expect(passed).toEqual(Array.from({ length: last }, (_, i) => i + 1))
    // A difference of 60 levels falls below 20 after 1.1 times 10 s.
    expect(last).toBeGreaterThan(100)
    expect(last).toBeLessThan(180)
    expect(show(still())).toBe(true)
    const brief = watch(still())
    brief.show(withObject(0.02, 160))
    expect(brief.passing(60, () => still())).toEqual(Array.from({ length: 29 }, (_, i) => i + 1))
  })

  test('a covered lens is motion, and so is the view that comes back', () => {
    const { passing, show } = watch(still())
    expect(show({ level: () => 0 })).toBe(true)
    expect(passing(60, () => ({ level: () => 0 }))).toHaveLength(29)
    expect(show(still())).toBe(true)
    expect(passing(60, () => still())).toHaveLength(29)
  })

  test('the first ten frames pass, and at least 3 s of them', () => {
    const gate = new MotionGate({ sensitivity: 'medium', idle_s: neverIdle })
    const slow = Array.from({ length: 12 }, (_, i) =>
      gate.passes({ geometry, data: draw(still(), geometry) }, i * 1000),
    )
    expect(slow).toEqual([...Array.from({ length: 10 }, () => true), false, false])
    const fast = new MotionGate({ sensitivity: 'medium', idle_s: neverIdle })
    const passed = Array.from({ length: 40 }, (_, i) =>
      fast.passes({ geometry, data: draw(still(), geometry) }, i * 100),
    )
    expect(passed.lastIndexOf(true)).toBe(29)
  })

  test('a still scene is looked at every idle_s seconds, which may change', () => {
    const { gate, passing } = watch(still(), { idle_s: 1 })
    const passed = passing(35, () => still())
    const [first = 0] = passed
    expect(first).toBeLessThanOrEqual(10)
    expect(passed.slice(0, 3)).toEqual([first, first + 10, first + 20])
    gate.configure({ sensitivity: 'medium', idle_s: 0.3 })
    expect(passing(12, () => still())).toHaveLength(4)
    gate.configure({ sensitivity: 'medium', idle_s: 0 })
    expect(passing(12, () => still())).toHaveLength(12)
  })

  test('another sensitivity holds at once, and the scene is not forgotten', () => {
    const { gate, show } = watch(still(), { sensitivity: 'low' })
    expect(show(withObject(0.003, 200))).toBe(false)
    gate.configure({ sensitivity: 'high', idle_s: neverIdle })
    expect(show(still())).toBe(false)
    expect(show(withObject(0.003, 200))).toBe(true)
  })

  test('frames of another size are a new scene, and watched in all their parts', () => {
    const gate = new MotionGate({ sensitivity: 'medium', idle_s: neverIdle })
    const small = { width: 32, height: 32, stride: 64 }
    let now = 0
    const show = (look: Look, shape = geometry) => {
      now += frameMs
      return gate.passes({ geometry: shape, data: draw(look, shape) }, now)
    }
    for (let i = 0; i < 40; i++) show(still(), small)
    expect(show(still(), small)).toBe(false)
    expect(Array.from({ length: 40 }, () => show(still())).lastIndexOf(true)).toBe(29)
    expect(show(withObject(0.02, 200, 400, 290))).toBe(true)
  })

  test('whatever happens, it never waits longer than idle_s, if frames come that often', () => {
    const small = { width: 48, height: 32, stride: 64 }
    const looks = [
      draw({ level: () => 100, sigma: 2 }, small),
      draw({ level: () => 100, sigma: 2 }, small),
      draw({ level: (x) => 5 * x, sigma: 2 }, small),
    ]
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 3000 }),
        fc.double({ min: 0, max: 20, noNaN: true }),
        fc.array(fc.nat(2), { minLength: 200, maxLength: 200 }),
        fc.array(fc.integer({ min: 0, max: 199 }), { maxLength: 3 }),
        (intervalMs, idle_s, shown, changes) => {
          const gate = new MotionGate({ sensitivity: 'high', idle_s })
          let passedMs = 0
          // Mostly still, so that there is something to wait for.
          const isChange = new Set(changes)
          shown.forEach((which, i) => {
            const data = looks[isChange.has(i) ? which : 0] ?? new Uint8Array()
            const now = i * intervalMs
            if (gate.passes({ geometry: small, data }, now)) passedMs = now
            expect(now - passedMs).toBeLessThan(Math.max(idle_s * 1000, intervalMs))
          })
        },
      ),
    )
  })
})
