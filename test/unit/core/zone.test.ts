import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bottomCentre, isInside, type Point, type Polygon } from '../../../src/core/zone.ts'
import { box, unit } from '../arbitraries.ts'

const square: Polygon = [
  [0.2, 0.2],
  [0.8, 0.2],
  [0.8, 0.8],
  [0.2, 0.8],
]
/** The letter U: concave, its gap is open to the top. */
const cup: Polygon = [
  [0.1, 0.1],
  [0.3, 0.1],
  [0.3, 0.7],
  [0.7, 0.7],
  [0.7, 0.1],
  [0.9, 0.1],
  [0.9, 0.9],
  [0.1, 0.9],
]
/** A corner above, below, left and right: rays from the middle meet corners. */
const diamond: Polygon = [
  [0.5, 0.1],
  [0.9, 0.5],
  [0.5, 0.9],
  [0.1, 0.5],
]
/** Drawn in one line, its middle is wound around twice. */
const star: Polygon = [
  [0.5, 0],
  [0.8, 0.95],
  [0, 0.35],
  [1, 0.35],
  [0.2, 0.95],
]

describe('a point', () => {
  test.each<[string, Polygon, Point, boolean]>([
    ['in the middle of a square', square, [0.5, 0.5], true],
    ['left of a square', square, [0.1, 0.5], false],
    ['right of a square', square, [0.9, 0.5], false],
    ['above a square', square, [0.5, 0.1], false],
    ['below a square', square, [0.5, 0.9], false],
    ['in line with the lower edge of a square', square, [0.9, 0.8], false],
    ['in line with the left edge of a square', square, [0.2, 0.9], false],
    ['in the left arm of a cup', cup, [0.2, 0.3], true],
    ['in the gap of a cup', cup, [0.5, 0.3], false],
    ['in the right arm of a cup', cup, [0.8, 0.3], true],
    ['in the bottom of a cup', cup, [0.5, 0.8], true],
    ['level with two corners of a diamond', diamond, [0.4, 0.5], true],
    ['beside a diamond, level with two corners', diamond, [0.05, 0.5], false],
    ['beside a diamond, level with one corner', diamond, [0.3, 0.1], false],
    ['in a point of a star', star, [0.5, 0.2], true],
    ['in the middle of a star, by the even-odd rule', star, [0.5, 0.5], false],
    ['in a polygon without corners', [], [0.5, 0.5], false],
  ])('%s', (_, polygon, point, expected) => {
    expect(isInside(point, polygon)).toBe(expected)
  })

  test.each([
    ['a square', square],
    ['a cup', cup],
    ['a diamond', diamond],
    ['a star', star],
  ])('on the outline of %s is inside, wherever', (_, polygon) => {
    fc.assert(
      fc.property(fc.nat(polygon.length - 1), unit, (index, share) => {
        const [x, y] = polygon[index] ?? [0, 0]
        const [toX, toY] = polygon[(index + 1) % polygon.length] ?? [0, 0]
        expect(isInside([x + share * (toX - x), y + share * (toY - y)], polygon)).toBe(true)
      }),
    )
  })

  const point = fc.tuple(unit, unit)
  const polygon = fc.array(fc.tuple(unit, unit), { minLength: 3, maxLength: 10 })

  test('is inside whichever corner the polygon begins with, and whichever way round it is', () => {
    fc.assert(
      fc.property(point, polygon, fc.nat(9), (at, corners, by) => {
        const turned = [...corners.slice(by % corners.length), ...corners.slice(0, by % corners.length)]
        expect(isInside(at, turned)).toBe(isInside(at, corners))
        expect(isInside(at, corners.toReversed())).toBe(isInside(at, corners))
      }),
    )
  })

  test('is in a box exactly when it lies between its corners', () => {
    fc.assert(
      fc.property(point, box, ([x, y], { xmin, ymin, xmax, ymax }) => {
        const isBetween = x >= xmin && x <= xmax && y >= ymin && y <= ymax
        const near = [x - xmin, x - xmax, y - ymin, y - ymax].some((distance) => Math.abs(distance) <= 1e-9)
        fc.pre(isBetween || !near)
        const corners: Polygon = [
          [xmin, ymin],
          [xmax, ymin],
          [xmax, ymax],
          [xmin, ymax],
        ]
        expect(isInside([x, y], corners)).toBe(isBetween)
      }),
    )
  })
})

test('an object stands where the middle of its lower edge is', () => {
  expect(bottomCentre({ xmin: 0.25, ymin: 0.125, xmax: 0.75, ymax: 0.875 })).toEqual([0.5, 0.875])
})
