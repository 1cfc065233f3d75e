import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SeqRuns } from '../../../src/lib/seq-runs.ts'

const small = fc.integer({ min: 1, max: 40 })

test('is a set of ascending numbers', () => {
  fc.assert(
    fc.property(fc.uniqueArray(small), fc.array(small), fc.array(small), (numbers, gone, later) => {
      const ascending = numbers.sort((a, b) => a - b)
      const model = new Set(ascending)
      const runs = new SeqRuns()
      for (const seq of ascending) runs.push(seq)
      for (const seq of gone) expect(runs.delete(seq)).toBe(model.delete(seq))
      // Neighbours of what has been taken out as well.
      for (const seq of [...new Set(later)].sort((a, b) => a - b)) {
        runs.push(40 + seq)
        model.add(40 + seq)
      }
      expect([...runs]).toEqual([...model])
      expect(runs.size).toBe(model.size)
      for (let seq = 0; seq <= 81; seq++) expect(runs.after(seq)).toBe([...model].find((other) => other > seq))
    }),
  )
})

test('holds whole numbers only', () => {
  const runs = new SeqRuns()
  for (const seq of [1, 2, 3]) runs.push(seq)
  for (const seq of [1.5, Number.NaN, Number.POSITIVE_INFINITY]) expect(runs.delete(seq)).toBe(false)
  expect([...runs]).toEqual([1, 2, 3])
})

test('is empty at first', () => {
  const runs = new SeqRuns()
  expect([...runs]).toEqual([])
  expect([runs.size, runs.after(0), runs.delete(1)]).toEqual([0, undefined, false])
})
